"""Who is recorded: shape, colours and clothes of one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from genego_ros.data.synthetic import body_model

Color = tuple[float, float, float]
"""Linear RGB."""
HairStyle = Literal["bald", "short", "medium", "long", "tied"]
Pattern = Literal["plain", "stripes", "checks", "heather"]

SKIN_TONES: tuple[Color, ...] = (
    (0.075, 0.035, 0.022),
    (0.13, 0.062, 0.036),
    (0.22, 0.11, 0.065),
    (0.34, 0.18, 0.11),
    (0.47, 0.27, 0.18),
    (0.60, 0.37, 0.265),
    (0.68, 0.45, 0.35),
)
"""Very dark to very light; what lies between is blended."""
HAIR_COLORS: tuple[Color, ...] = (
    (0.010, 0.008, 0.007),
    (0.022, 0.013, 0.009),
    (0.055, 0.028, 0.014),
    (0.14, 0.075, 0.032),
    (0.32, 0.21, 0.09),
    (0.30, 0.29, 0.28),
)
"""Black, dark brown, brown, light brown, blond, grey."""
EYE_COLORS: tuple[Color, ...] = ((0.05, 0.02, 0.01), (0.11, 0.055, 0.02), (0.08, 0.10, 0.05), (0.09, 0.16, 0.24))
CLOTH_COLORS: tuple[Color, ...] = (
    *((0.70, 0.70, 0.68), (0.025, 0.026, 0.03), (0.16, 0.17, 0.19), (0.02, 0.035, 0.10), (0.20, 0.30, 0.45)),
    *((0.36, 0.04, 0.045), (0.05, 0.12, 0.07), (0.42, 0.34, 0.22), (0.50, 0.30, 0.06), (0.30, 0.12, 0.22)),
    *((0.08, 0.28, 0.33), (0.45, 0.42, 0.40)),
)
TROUSER_COLORS: tuple[Color, ...] = (
    *((0.03, 0.05, 0.10), (0.07, 0.11, 0.19), (0.018, 0.018, 0.02), (0.10, 0.10, 0.11), (0.33, 0.27, 0.18)),
)


@dataclass(frozen=True)
class Garment:
    """The look of a piece of cloth."""

    color: Color
    pattern: Pattern = "plain"
    second_color: Color = (0.7, 0.7, 0.7)
    """Of stripes and checks."""
    looseness: float = 0.010
    """Metres between cloth and skin."""
    sleeve: float = 1.95
    """Where sleeves end: 0 shoulder, 1 elbow, 2 wrist."""
    rolled: bool = False
    """Sleeves end in a thick turned-up cuff."""
    neckline: float = 0.095
    """Radius of the opening for the neck, metres."""


@dataclass(frozen=True)
class Person:
    """All that makes one person look like nobody else; the same values give the same meshes."""

    shape: tuple[float, ...]
    """Coefficients of the body model."""
    stature: float
    """Metres, barefoot."""
    skin: Color
    hair: HairStyle
    hair_color: Color
    eyes: Color
    top: Garment
    trousers: Garment
    shoes: Color
    beard: float
    """Darkness of stubble, 0 to 1."""
    watch: Literal["none", "left", "right"]
    """The wrist that wears one; sleeves may cover it."""
    seed: int
    """Of folds, blotches and strands."""

    @classmethod
    def random(cls, rng: np.random.Generator) -> Person:
        """One of the body model's likely people, in clothes of chance."""
        model = body_model.load()
        which = int(rng.integers(len(model.people)))
        gender, age = (float(trait) for trait in model.people_traits[which])
        shape = model.people[which] + rng.normal(0, 0.15, model.people.shape[1])
        tone = rng.uniform(0, len(SKIN_TONES) - 1)
        lower = min(int(tone), len(SKIN_TONES) - 2)
        skin = _blend(SKIN_TONES[lower], SKIN_TONES[lower + 1], tone - lower)
        skin = _tinted(skin, rng, 0.05)
        hair = _hair_color(rng, tone, age)
        styles = {"bald": 0.12, "short": 0.63, "medium": 0.17, "long": 0.05, "tied": 0.03}
        if gender > 0.5:
            styles = {"bald": 0.01, "short": 0.14, "medium": 0.30, "long": 0.33, "tied": 0.22}
        style: HairStyle = rng.choice(np.array(list(styles)), p=list(styles.values())).item()
        return cls(
            shape=tuple(float(value) for value in shape),
            stature=float(np.clip(rng.normal(1.76 - 0.13 * (gender > 0.5), 0.065), 1.5, 1.95)),
            skin=skin,
            hair=style,
            hair_color=hair,
            eyes=EYE_COLORS[0] if tone < 2.5 else EYE_COLORS[int(rng.integers(len(EYE_COLORS)))],
            top=_top(rng),
            trousers=Garment(_tinted(TROUSER_COLORS[int(rng.integers(len(TROUSER_COLORS)))], rng, 0.15),
                             "heather", looseness=float(rng.uniform(0.008, 0.016))),
            shoes=_tinted(TROUSER_COLORS[int(rng.integers(len(TROUSER_COLORS)))], rng, 0.2),
            beard=float(rng.uniform(0.2, 1.0)) if gender < 0.5 and rng.random() < 0.5 else 0.0,
            watch=("none", "none", "none", "left", "right")[int(rng.integers(5))],
            seed=int(rng.integers(2**31)),
        )  # fmt: skip


def _top(rng: np.random.Generator) -> Garment:
    kind = rng.choice(["shirt", "long", "rolled"], p=[0.42, 0.33, 0.25])
    sleeve = {"shirt": rng.uniform(0.45, 0.75), "long": rng.uniform(1.82, 1.95), "rolled": rng.uniform(1.1, 1.6)}[kind]
    first, second = (int(i) for i in rng.choice(len(CLOTH_COLORS), 2, replace=False))
    pattern: Pattern = rng.choice(["plain", "heather", "stripes", "checks"], p=[0.42, 0.2, 0.2, 0.18]).item()
    return Garment(
        color=_tinted(CLOTH_COLORS[first], rng, 0.2),
        pattern=pattern,
        second_color=_tinted(CLOTH_COLORS[second], rng, 0.2),
        looseness=float(rng.uniform(0.008, 0.017)),
        sleeve=float(sleeve),
        rolled=bool(kind == "rolled"),
        neckline=float(rng.uniform(0.085, 0.108)),
    )


def _hair_color(rng: np.random.Generator, tone: float, age: float) -> Color:
    if rng.random() < max(age - 0.45, 0) * 1.6:
        return _tinted(HAIR_COLORS[-1], rng, 0.2)
    lightest = 2 if tone < 3.5 else len(HAIR_COLORS) - 1
    return _tinted(HAIR_COLORS[int(rng.integers(lightest))], rng, 0.2)


def _blend(a: Color, b: Color, share: float) -> Color:
    return tuple(float(x + share * (y - x)) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def _tinted(color: Color, rng: np.random.Generator, amount: float) -> Color:
    """The colour, a little lighter or darker and off in hue."""
    factor = np.exp(rng.normal(0, amount) + rng.normal(0, amount / 4, 3))
    return tuple(float(c) for c in np.clip(np.array(color) * factor, 0, 0.85))  # type: ignore[return-value]
