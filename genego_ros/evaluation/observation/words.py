"""T_exo: whether it names the hands that are there, and says rightly whether they touch something."""

from __future__ import annotations

import re

from genego_ros.evaluation.observation.case import Case, Values
from genego_ros.types import SIDES, Side

_BOTH = re.compile(r"\b(both|two) hands\b")
_TOUCH = re.compile(r"\b(touch|hold|grasp|grip|grab|carr|lift|squeez|pinch(es|ing) (a|the|something))")


def measure(case: Case) -> Values:
    """`right` is 1 where the text names all visible hands and no others; `missed` and `invented` have a 1 or 0 for each
    hand that is visible, or named; `contact` for each that is both and of which the data tells what it touches."""
    text = case.observation.description.lower()
    named = named_hands(text)
    touched = {side: says_contact(text, side) for side in named if side in case.visible and side in case.touching}
    return {
        "description/right": [float(set(named) == set(case.visible))],
        "description/missed": [float(side not in named) for side in case.visible],
        "description/invented": [float(side not in case.visible) for side in named],
        "description/contact": [float(said == case.touching[side]) for side, said in touched.items()],
    }


def named_hands(text: str) -> tuple[Side, ...]:
    """Sides that a text in lower case names."""
    both = _BOTH.search(text) is not None
    return tuple(side for side in SIDES if both or re.search(rf"\b{side}\b", text))


def says_contact(text: str, side: Side) -> bool:
    """Whether a sentence, or part of one, on the hand of that side speaks of touching."""
    parts = re.split(r"[.;]|\bwhile\b", text)
    return any(_TOUCH.search(part) and (re.search(rf"\b{side}\b", part) or _BOTH.search(part)) for part in parts)
