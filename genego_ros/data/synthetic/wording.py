"""What a frame shows, in a sentence: the answer to "describe in detail about the scene and the object that the
person is interacting with using their hands"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.random import Generator

from genego_ros.types import Side

DEEDS: Mapping[str, tuple[str, str]] = {
    "reach": ("reaches for {}", "reaching for {}"),
    "grab": ("lifts {}", "picking up {}"),
    "hold": ("holds {}", "holding {}"),
    "turn": ("turns {} around", "turning {} around"),
    "place": ("puts {} down", "placing {}"),
    "open": ("opens {}", "opening {}"),
    "close": ("closes {}", "closing {}"),
    "pour": ("pours from {}", "pouring from {}"),
    "take out": ("takes something out of {}", "taking something out of {}"),
    "put in": ("puts something into {}", "putting something into {}"),
    "apply": ("wipes with {}", "wiping with {}"),
    "read": ("reads {}", "reading {}"),
    "spray": ("sprays with {}", "spraying with {}"),
    "squeeze": ("squeezes {}", "squeezing {}"),
    "pass": ("passes {} on", "passing {} on"),
}


@dataclass(frozen=True)
class Teller:
    """One way of saying it, kept for a recording."""

    style: int
    thing: str
    """"red mug"."""
    setting: str
    """"a wooden table"."""

    @classmethod
    def random(cls, rng: Generator, thing: str, setting: str) -> Teller:
        return cls(int(rng.integers(4)), thing, setting)

    def resting(self) -> str:
        """Nobody touches the object."""
        return (
            f"A person sits at {self.setting} with both hands free; {_a(self.thing)} stands in front of them.",
            f"{_a(self.thing).capitalize()} stands on {self.setting} before a person, whose hands do not touch it.",
            f"A person's hands are near {_a(self.thing)} on {self.setting}.",
            f"A person is waiting at {self.setting}, {_a(self.thing)} within reach of both hands.",
        )[self.style]

    def says(self, deed: str, side: Side, other: str) -> str:
        """One hand does `deed`, a key of `DEEDS`; `other` is a clause about the other hand."""
        does, doing = (form.format(_a(self.thing)) for form in DEEDS[deed])
        return (
            f"A person {does} with the {side} hand over {self.setting}; {other}.",
            f"Over {self.setting}, a person {does} with the {side} hand while {other}.",
            f"A person is {doing} with the {side} hand at {self.setting}; {other}.",
            f"A person at {self.setting} {does}, using the {side} hand, and {other}.",
        )[self.style]


def _a(thing: str) -> str:
    return f"an {thing}" if thing[0] in "aeiou" else f"a {thing}"
