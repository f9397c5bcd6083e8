"""The lifecycle that all nodes share: parameters, workers, status, and no frame that kills."""

from __future__ import annotations

import re
import signal
import threading
import time
import traceback
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.signals import SignalHandlerOptions

from genego_ros.errors import GenEgoError
from genego_ros.msg import PipelineStatus
from genego_ros.parameters import Parameters
from genego_ros.ros import conversions
from genego_ros.ros.newest import Newest
from genego_ros.ros.parameters import check_change, declare_parameters, read_parameters
from genego_ros.ros.status import empty_status, to_diagnostics
from genego_ros.types import ExoObservation

OUTPUT_QOS = QoSProfile(depth=1)
"""Reliable, newest only."""
_WAIT_S = 0.1
"""How long a worker, or the node, waits before it looks whether it should stop."""
_REPEAT_S = 5.0
"""The same warning, whatever its numbers, is logged again after this time."""
_NUMBER = re.compile(r"\d+(\.\d+)?")
_LATENCY_SANE_MS = 60_000.0
"""A stamp further from now is not of this node's clock (a recording replayed without /clock)."""


class PipelineNode(LifecycleNode):
    """Base of the nodes. A subclass says what to load (`set_up`), what to listen to (`open_inputs`) and
    what to do with one item (`steps`); everything that goes wrong in there is caught here and told.

    Each step runs in a thread of its own, so that parameters, lifecycle and inputs stay responsive and
    the second stage works on one frame while the first is at the next.
    The parameter `autostart` (true) configures and activates the node at once; without it, a lifecycle
    manager does.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.autostart: bool = self.declare_parameter("autostart", True).value
        self._parameter_problems = declare_parameters(self)
        # Given values that are wrong are told when the node is configured, and can be put right until then.
        self.parameters = Parameters() if self._parameter_problems else read_parameters(self)
        self.status = empty_status(name)
        self._status_publisher = self.create_output(PipelineStatus, "status")
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._warnings: dict[str, float] = {}
        self._failure = ""
        self._standing_trouble = ""
        self._frame_trouble = ""
        self._published_at = -1.0
        self._status_lock = threading.Lock()
        self._workers: list[threading.Thread] = []
        self._working = threading.Event()
        # Steady, since /clock may not have come yet, and that is one of the things to complain about.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._every_second, clock=steady)
        self._start_timer = self.create_timer(0.0, self._start, clock=steady)
        self.add_on_set_parameters_callback(self._on_parameters)

    # What a subclass gives ---------------------------------------------------------------------------

    @abstractmethod
    def set_up(self) -> None:
        """Loads models and creates publishers (configure). May raise GenEgoError."""

    @abstractmethod
    def tear_down(self) -> None:
        """Gives back what `set_up` took, also where that ended halfway or was never called."""

    @abstractmethod
    def open_inputs(self) -> None:
        """Creates the subscriptions (activate)."""

    @abstractmethod
    def close_inputs(self) -> None:
        """Destroys them (deactivate)."""

    @abstractmethod
    def steps(self) -> Sequence[Callable[[float], None]]:
        """Functions that each wait for one item, that many seconds at most, and process it; they may
        raise GenEgoError."""

    @abstractmethod
    def slots(self) -> Sequence[Newest[Any]]:
        """Where items wait for a step, the input first; they count what came and what was dropped."""

    @abstractmethod
    def check_inputs(self) -> str:
        """What is wrong with the inputs and its cure, or ""."""

    @abstractmethod
    def apply(self, parameters: Parameters) -> None:
        """Takes changed parameters over, from the next frame on."""

    # What a subclass uses ----------------------------------------------------------------------------

    def create_output(self, kind: type, topic: str) -> Any:
        return self.create_publisher(
            kind, topic, OUTPUT_QOS, qos_overriding_options=QoSOverridingOptions.with_default_policies()
        )

    @property
    def ego_frame_id(self) -> str:
        return self.parameters.frames.tf_prefix + self.parameters.frames.ego

    def warn(self, text: str) -> None:
        """Logs a warning, not more often than every few seconds, and puts it into the next status."""
        if self._workers and not self._working.is_set():
            return  # stopping: nothing is received any more, so what the last frame lacks is nobody's fault
        if text not in self._frame_trouble:
            self._frame_trouble = f"{self._frame_trouble}; {text}" if self._frame_trouble else text
        kind = _NUMBER.sub("", text)
        now = time.monotonic()
        if now - self._warnings.get(kind, -_REPEAT_S) >= _REPEAT_S:
            self._warnings[kind] = now
            self.get_logger().warning(text)

    def report(self, observation: ExoObservation, stage_ms: dict[str, float], seen_fraction: float) -> None:
        """Publishes the status of a frame that is done."""
        with self._status_lock:
            self._describe(observation, stage_ms, seen_fraction)
        self._publish_status()

    def _describe(self, observation: ExoObservation, stage_ms: dict[str, float], seen_fraction: float) -> None:
        status = self.status
        status.header = conversions.to_header(observation.stamp_ns, observation.frame_id)
        status.frames_processed += 1
        latency_ms = 1e-6 * (self.get_clock().now().nanoseconds - observation.stamp_ns)
        status.latency_ms = latency_ms if 0 <= latency_ms < _LATENCY_SANE_MS else float("nan")
        status.stage_names, status.stage_ms = list(stage_ms), list(stage_ms.values())
        status.hands = len(observation.hands_exo)
        status.scale, status.scale_spread = observation.scale.factor, observation.scale.spread
        status.scale_source = observation.scale.source
        status.viewpoint_residual = observation.viewpoint.residual
        status.viewpoint_source = observation.viewpoint.source
        status.depth_source, status.camera_source = observation.depth_source, observation.camera_source
        status.seen_fraction = seen_fraction

    # Lifecycle ---------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("configure", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_activate(state)
        return self._transition("activate", self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_deactivate(state)
        return self._transition("deactivate", self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("clean up", self.tear_down)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("shut down", self._release)

    def _configure(self) -> None:
        if self._parameter_problems:
            raise GenEgoError("; ".join(self._parameter_problems))
        self.parameters = read_parameters(self)
        try:
            self.set_up()
        except Exception:
            self.tear_down()  # what was made before the failure
            raise

    def _activate(self) -> None:
        self.open_inputs()
        self.apply(self.parameters)
        self.status.frames_processed = self.status.frames_rejected = 0
        self._working.set()
        self._workers = [threading.Thread(target=self._work, args=(step,), daemon=True) for step in self.steps()]
        for worker in self._workers:
            worker.start()
        self.get_logger().info("active")

    def _deactivate(self) -> None:
        if not self._workers:
            return
        self._working.clear()
        for worker in self._workers:
            worker.join()
        self._workers = []
        self.close_inputs()

    def _release(self) -> None:
        self._deactivate()
        self.tear_down()

    def _transition(self, what: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        """rclpy swallows what a transition raises, so it is said here."""
        try:
            action()
        except GenEgoError as error:
            self._failure = f"cannot {what}: {error}"
            self.get_logger().error(self._failure)
        except Exception as error:
            self._failure = f"cannot {what}: {error!r}"
            self.get_logger().error(f"{self._failure}\n{traceback.format_exc()}")
        else:
            self._failure = ""
            return TransitionCallbackReturn.SUCCESS
        return TransitionCallbackReturn.FAILURE

    def _start(self) -> None:
        """Once, as soon as the node is spun."""
        self._start_timer.cancel()
        if self.autostart and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # Work --------------------------------------------------------------------------------------------

    def _work(self, step: Callable[[float], None]) -> None:
        while self._working.is_set():
            try:
                step(_WAIT_S)
            except GenEgoError as error:
                self._reject(str(error))
            except Exception as error:
                # One bad frame must not end the stream; the trace tells where to look.
                self._reject(f"frame failed: {error!r}")
                self.get_logger().error(traceback.format_exc(), throttle_duration_sec=_REPEAT_S)

    def _reject(self, text: str) -> None:
        self.status.frames_rejected += 1
        self.warn(f"frame rejected: {text}")
        self._publish_status()

    def _publish_status(self) -> None:
        with self._status_lock:
            if self._workers:
                slots = self.slots()
                self.status.frames_received = slots[0].received
                self.status.frames_dropped = sum(slot.dropped for slot in slots)
            trouble = self._failure or self._frame_trouble or self._standing_trouble
            self.status.message = trouble or ("ok" if self._workers else "inactive")
            self._frame_trouble = ""
            self._published_at = time.monotonic()
            self._status_publisher.publish(self.status)

    def _every_second(self) -> None:
        self._standing_trouble = self.check_inputs() if self._workers else ""
        if self._standing_trouble:
            self.warn(self._standing_trouble)
        if time.monotonic() - self._published_at > 0.9:
            self._publish_status()
        with self._status_lock:
            diagnostics = to_diagnostics(self.status, self.get_clock().now().to_msg())
        self._diagnostics_publisher.publish(diagnostics)

    def _on_parameters(self, changed: list[Parameter]) -> Any:
        result = check_change(self, changed)
        if result.successful:
            self.parameters = self.parameters.changed({p.name: p.value for p in changed})
            if self._workers:
                self.apply(self.parameters)
        return result


def run_node(make: Callable[[], PipelineNode]) -> None:
    """Runs one node until it is asked to stop (SIGINT, SIGTERM)."""
    # rclpy's own handlers would end the context under the workers, in the middle of a frame.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    node = make()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not asked_to_stop.is_set():
            executor.spin_once(timeout_sec=_WAIT_S)
    finally:
        node._release()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
