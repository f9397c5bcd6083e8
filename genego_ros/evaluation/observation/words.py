"""T_exo: whether it names the hands that are there, and says rightly whether they touch something.

English is read by patterns, clause by clause; docs/evaluation.md says what they do not understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from genego_ros.evaluation.observation.case import Case, Values
from genego_ros.types import SIDES, Side

_WHOSE = r"(?:(?:the|a|his|her|their|its)\s+)?(?:\w+'s\s+)?"
_HANDS = re.compile(
    rf"(?P<no>\b(?:no|without)\s+)?(?:\bboth\s+)?\b{_WHOSE}"
    rf"(?P<side>left|right)(?P<other>(?:\s+hand)?\s+(?:and|or|nor)\s+{_WHOSE}(?:left|right))?\s+hands?\b(?!\s+side\b)"
    rf"|\b(?:(?:both|two)\s+(?:of\s+)?{_WHOSE}(?:\w+\s+)?|(?:the|his|her|their|its|\w+'s)\s+)hands\b"
)
"""A bare side is a place, as in "on the left of the table" and "on the left hand side"."""
_BREAK = re.compile(r"[.;:!?]|\b(?:while|whereas|but|although|though)\b|(?:,|\band\b)\s*(?=@)")
_UNSEEN = re.compile(
    r"(?:\bnot|n't|\bcannot|\bneither @both(?:\s+(?:is|are|can))?)\s+(?:be\s+)?"
    r"(?:visible|seen|shown|present|in\s+(?:the\s+)?(?:view|picture|image|frame))\b"
    r"|\binvisible\b|(?<!partly )(?<!partially )\bhidden\b|\bout of (?:view|frame|sight|the picture)\b"
)
_TOUCH = (
    r"\b(?:touch(?:es|ing|ed)?|h[eo]ld(?:s|ing)?|contact|grasp(?:s|ing|ed)?|grip(?:s|ping|ped)?|grab(?:s|bing|bed)?"
    r"|clutch(?:es|ing|ed)?|carr(?:y|ies|ying|ied)|lift(?:s|ing|ed)?|squeez(?:e|es|ing|ed)"
    r"|pinch(?:es|ing)\s+(?:a|the|something))\b"
)
_TOUCHES = re.compile(_TOUCH)
_DENIED = re.compile(
    rf"(?:\b(?:not(?!\s+only)|no|never|nothing|neither|nor|without|cannot)|n't)(?:\s+(?!and\b)[\w@']+){{0,4}}?\s+{_TOUCH}"
    rf"(?:.*?\b(?:or|nor)\s+{_TOUCH})*"
    rf"|{_TOUCH}\s+(?:(?:with|on|onto|to)\s+)*(?:nothing|no|none|neither)\b"
)


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
    """Sides of which a text in lower case says that their hand is seen: not those of which it says that it is not."""
    seen: set[Side] = set()
    unseen: set[Side] = set()
    for sides, clause in _clauses(text):
        (unseen if _UNSEEN.search(clause) else seen).update(sides)
    return tuple(side for side in SIDES if side in seen - unseen)


def says_contact(text: str, side: Side) -> bool:
    """Whether a clause of a text in lower case says of the hand of that side that it touches something."""
    return any(side in sides and _TOUCHES.search(_DENIED.sub("", clause)) for sides, clause in _clauses(text))


def _clauses(text: str) -> Iterator[tuple[tuple[Side, ...], str]]:
    """Each clause, its hands marked as @left, @right or @both, and their sides."""
    for clause in _BREAK.split(_HANDS.sub(_mark, text)):
        yield tuple(side for side in SIDES if f"@{side}" in clause or "@both" in clause), clause


def _mark(found: re.Match[str]) -> str:
    if found["no"]:
        return found[0]
    return f"@{found['side']}" if found["side"] and not found["other"] else "@both"
