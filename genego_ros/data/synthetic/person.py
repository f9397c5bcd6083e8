"""Who a person of a rendered recording is: shape, skin, hair and clothes, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from genego_ros.data.synthetic import anatomy
from genego_ros.types import Float64Array

Color = tuple[float, float, float]
"""sRGB, 0 to 255."""
Hair = Literal["bald", "cropped", "short", "full", "bun", "ponytail"]

SKIN_TONES: tuple[Color, ...] = (
    (244, 208, 186),
    (233, 190, 164),
    (222, 176, 146),
    (205, 156, 122),
    (184, 132, 98),
    (156, 108, 78),
    (122, 82, 60),
    (90, 60, 46),
    (66, 44, 36),
)
HAIR_COLORS: tuple[Color, ...] = (
    (26, 22, 20),
    (44, 32, 25),
    (72, 50, 34),
    (104, 74, 46),
    (150, 112, 68),
    (196, 160, 104),
    (124, 60, 34),
    (150, 148, 146),
)
CLOTH_COLORS: tuple[Color, ...] = (
    (232, 230, 224),
    (52, 54, 60),
    (34, 46, 78),
    (92, 122, 160),
    (120, 34, 40),
    (52, 84, 62),
    (150, 140, 122),
    (196, 164, 84),
    (108, 100, 112),
    (186, 92, 74),
    (92, 130, 128),
    (206, 188, 196),
)
PATTERNS = ("plain", "plain", "plain", "stripes", "check", "plaid")


@dataclass(frozen=True)
class Person:
    """Everything by which people differ."""

    number: int
    """Which of the bodies of models/body.safetensors."""
    change: Float64Array
    """float64 (16,): how far the shape differs from that body's, see `anatomy.anatomy`."""
    stature: float
    """Factor on all lengths."""
    skin: Color
    hair: Hair
    hair_color: Color
    eye_color: Color
    sleeve: float
    """Where the sleeves end: 0 at the shoulder, 1 at the elbow, 2 at the wrist."""
    loose: float
    """How loose the shirt sits, 0 to 1."""
    shirt: tuple[Color, ...]
    pattern: str
    trousers: Color
    watch: bool
    seed: int
    """Of creases, patterns and blotches."""

    @classmethod
    def random(cls, rng: np.random.Generator) -> Person:
        number = int(rng.integers(anatomy.people()))
        male = anatomy.is_male(number)
        tone = rng.uniform(0, len(SKIN_TONES) - 1)
        # Very fair hair on very dark skin is dyed; few people do that.
        fairest = len(HAIR_COLORS) if tone < 3.5 else 3
        styles: tuple[Hair, ...] = (
            ("bald", "cropped", "short", "full") if male else ("short", "full", "bun", "ponytail")
        )
        sleeve = float(rng.choice([rng.uniform(0.45, 0.8), rng.uniform(1.15, 1.6), 1.93], p=[0.4, 0.2, 0.4]))
        colors = [CLOTH_COLORS[k] for k in rng.choice(len(CLOTH_COLORS), 3, replace=False)]
        return cls(
            number=number,
            change=0.25 * anatomy.spread() * rng.standard_normal(len(anatomy.spread())),
            stature=float(rng.uniform(0.98, 1.02)),
            skin=_between(SKIN_TONES, tone, rng),
            hair=styles[int(rng.integers(len(styles)))],
            hair_color=_varied(HAIR_COLORS[int(rng.integers(fairest))], 0.12, rng),
            eye_color=_varied(
                ((70, 48, 34), (92, 110, 128), (84, 92, 62))[int(rng.choice(3, p=[0.7, 0.2, 0.1]))], 0.1, rng
            ),
            sleeve=sleeve,
            loose=float(rng.uniform(0.2, 1.0)),
            shirt=tuple(_varied(color, 0.12, rng) for color in colors),
            pattern=PATTERNS[int(rng.integers(len(PATTERNS)))],
            trousers=_varied(
                ((40, 50, 74), (58, 56, 54), (128, 116, 96), (28, 28, 32))[int(rng.integers(4))], 0.1, rng
            ),
            watch=bool(rng.random() < 0.3),
            seed=int(rng.integers(2**31)),
        )


def _varied(color: Color, amount: float, rng: np.random.Generator) -> Color:
    red, green, blue = np.clip(np.asarray(color) * (1 + amount * rng.uniform(-1, 1)) + rng.uniform(-4, 4, 3), 4, 250)
    return float(red), float(green), float(blue)


def _between(colors: tuple[Color, ...], place: float, rng: np.random.Generator) -> Color:
    table = np.asarray(colors)
    mixed = [np.interp(place, np.arange(len(table)), table[:, k]) for k in range(3)]
    return _varied((float(mixed[0]), float(mixed[1]), float(mixed[2])), 0.04, rng)
