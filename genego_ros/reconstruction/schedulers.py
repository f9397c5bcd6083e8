"""The samplers, by the names that users know them by."""

from __future__ import annotations

import inspect
from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
    TCDScheduler,
)

from genego_ros.errors import GenEgoError

SCHEDULERS: dict[str, Any] = {
    "ddim": DDIMScheduler,
    "dpm++": DPMSolverMultistepScheduler,
    "lcm": LCMScheduler,
    "tcd": TCDScheduler,
    "flow": FlowMatchEulerDiscreteScheduler,
}


def is_flow(scheduler: Any) -> bool:
    """Whether the network that `scheduler` serves was trained by flow matching."""
    return isinstance(scheduler, FlowMatchEulerDiscreteScheduler)


def exchanged(scheduler: Any, name: str) -> Any:
    """Another scheduler for the same network: noise and prediction type stay.

    Raises:
        GenEgoError: no such name, or it asks for another training.
    """
    if name not in SCHEDULERS:
        raise GenEgoError(f"there is no scheduler '{name}'; known: {', '.join(SCHEDULERS)}")
    chosen = SCHEDULERS[name]
    if is_flow(scheduler) != (chosen is SCHEDULERS["flow"]):
        fitting = [name for name, kind in SCHEDULERS.items() if (name == "flow") == is_flow(scheduler)]
        raise GenEgoError(f"scheduler '{name}' does not fit how this network was trained; choose {', '.join(fitting)}")
    # One by one: `from_config` alone passes over what has the old class's default, where the new one may have another.
    kept = {key: value for key, value in scheduler.config.items() if key in inspect.signature(chosen).parameters}
    return chosen(**kept)
