"""Procedural surfaces: without a seam, at true scale, reproducible."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from genego_ros.data.synthetic import prints, textures
from genego_ros.data.synthetic.scene import Material

Rng = np.random.Generator
REPEATING: dict[str, Callable[[Rng], Material]] = {
    "boards": lambda rng: textures.wood(rng, "oak", rows=8),
    "staves": lambda rng: textures.wood(rng, "beech", rows=16, per_row=3),
    "veneer": lambda rng: textures.wood(rng, "walnut", rows=4, spread=0.03),
    "parquet": lambda rng: textures.parquet(rng, "pine"),
    "marble": lambda rng: textures.marble(rng, (236, 233, 228), (128, 126, 128)),
    "granite": lambda rng: textures.granite(rng, [(110, 110, 108), (60, 60, 60), (180, 180, 176), (80, 76, 74)]),
    "terrazzo": lambda rng: textures.terrazzo(rng, (214, 209, 199), [(150, 90, 70), (96, 96, 98)]),
    "concrete": textures.concrete,
    "plaster": lambda rng: textures.plaster(rng, (228, 220, 204)),
    "wallpaper": lambda rng: textures.wallpaper(rng, (214, 208, 190), (150, 165, 150)),
    "bricks": lambda rng: textures.bricks(rng, (160, 86, 64), (188, 180, 168)),
    "tiles": lambda rng: textures.tiles(rng, (226, 227, 222), (176, 174, 168), 4, 8, 0.8),
    "carpet": lambda rng: textures.carpet(rng, (104, 108, 116), (148, 148, 148)),
    "gingham": lambda rng: textures.cloth(rng, [(232, 226, 212), (150, 50, 46)], "check"),
    "plaid": lambda rng: textures.cloth(rng, [(232, 226, 212), (150, 50, 46), (60, 80, 110)], "plaid"),
    "paint": lambda rng: textures.paint(rng, (196, 198, 198)),
    "metal": textures.metal,
    "cardboard": textures.cardboard,
}


@cache
def surface(name: str) -> Material:
    return REPEATING[name](np.random.default_rng(2))


def steps(picture: np.ndarray, axis: int) -> np.ndarray:
    """Mean absolute change from each row (column) to the next; the last is that over the border."""
    values = picture.astype(np.float64)
    change = np.abs(np.roll(values, -1, axis) - values)
    return change.mean(axis=tuple(other for other in range(values.ndim) if other != axis))


@pytest.mark.parametrize("name", REPEATING)
def test_a_surface_repeats_without_a_seam(name: str) -> None:
    material = surface(name)
    assert material.texture is not None
    assert material.texture.dtype == np.uint8 and material.texture.shape == (512, 512, 3)
    for picture in (material.texture, material.bump):
        for axis in (0, 1) if picture is not None else ():
            change = steps(picture, axis)
            assert change[-1] <= 1.1 * change[:-1].max(), axis


@pytest.mark.parametrize("name", REPEATING)
def test_the_same_seed_gives_the_same_surface(name: str) -> None:
    again = REPEATING[name](np.random.default_rng(2))
    np.testing.assert_array_equal(again.texture, surface(name).texture)
    assert again.bump is None or np.array_equal(again.bump, surface(name).bump)


def test_another_seed_gives_another_surface() -> None:
    other = textures.concrete(np.random.default_rng(3))
    assert (other.texture != surface("concrete").texture).mean() > 0.5


def test_bricks_are_as_large_as_bricks() -> None:
    material = textures.bricks(np.random.default_rng(0), (160, 86, 64), (188, 180, 168))
    assert material.texture is not None and material.bump is not None
    courses = np.abs(np.fft.rfft(material.bump.mean(axis=1) - material.bump.mean()))
    assert material.tile / courses.argmax() == pytest.approx(0.083, abs=0.001)
    # Two courses of stretchers, each shifted by half a brick: the first harmonic is lost in their sum.
    course = material.bump[10:30].mean(axis=0)
    assert material.tile / np.abs(np.fft.rfft(course - course.mean())).argmax() == pytest.approx(0.25)
    assert np.ptp(material.bump) > 0.003


def test_grain_runs_along_u() -> None:
    for species in ("oak", "walnut", "whitewashed pine"):
        material = textures.wood(np.random.default_rng(1), species, rows=4)
        assert material.texture is not None
        assert steps(material.texture, 0).mean() > 2 * steps(material.texture, 1).mean(), species


def test_pictures_that_fill_a_surface_are_of_their_kind() -> None:
    rng = np.random.default_rng(3)
    page, notes, screen = prints.page(rng), prints.notes(rng), prints.screen(rng)
    for paper in (page, notes):
        assert paper.texture is not None
        light = paper.texture.mean(axis=2) > 225
        assert 0.5 < light.mean() < 0.99  # mostly paper, and something on it
    assert page.emission == 0 and screen.emission > 0
    keys = prints.keys(rng, (46, 47, 50))
    assert keys.bump is not None and np.ptp(keys.bump) == pytest.approx(0.0025, abs=3e-4)
