"""What a camera makes of light: noise, blur, tone."""

from __future__ import annotations

import numpy as np
import pytest

from genego_ros.data.synthetic.scene import Sensor, Shot
from genego_ros.data.synthetic.sensor import expose, random_sensor

HEIGHT, WIDTH = 90, 160


def shot(radiance: np.ndarray, depth: float = 1.0, flow: tuple[float, float] = (0.0, 0.0)) -> Shot:
    shape = radiance.shape[:2]
    return Shot(
        radiance.astype(np.float32),
        np.full(shape, depth, np.float32),
        np.broadcast_to(np.array(flow, np.float32), (*shape, 2)).copy(),
    )


def even(value: float) -> Shot:
    return shot(np.full((HEIGHT, WIDTH, 3), value))


def linear(picture: np.ndarray) -> np.ndarray:
    """Linear light of sRGB bytes, IEC 61966-2-1, written out."""
    s = picture / 255.0
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def test_white_paper_is_just_below_white() -> None:
    # Unit irradiance on paper of albedo 0.9 leaves 0.9 / pi.
    paper = expose(even(0.9 / np.pi), Sensor(), np.random.default_rng(0))
    assert paper.dtype == np.uint8 and paper.shape == (HEIGHT, WIDTH, 3)
    assert paper.min() >= 230 and paper.max() <= 245
    brighter = expose(even(9 / np.pi), Sensor(), np.random.default_rng(0))
    assert brighter.min() >= 254


@pytest.mark.parametrize("value", [0.02, 0.18, 0.5])
def test_dark_and_middle_values_are_plain_srgb(value: float) -> None:
    picture = expose(even(value / np.pi), Sensor(), np.random.default_rng(0))
    assert linear(picture).mean() == pytest.approx(value, rel=0.03)  # 8 bits


def test_exposure_and_white_balance_are_factors() -> None:
    picture = expose(even(0.1 / np.pi), Sensor(exposure=2.0, white_balance=(1.5, 1.0, 0.5)), np.random.default_rng(0))
    np.testing.assert_allclose(linear(picture).mean(axis=(0, 1)), [0.3, 0.2, 0.1], rtol=0.02)


def test_contrast_is_the_slope_in_the_middle() -> None:
    ramp = np.linspace(0.15, 0.35, WIDTH)[None, :, None].repeat(HEIGHT, 0).repeat(3, 2) / np.pi
    plain, steep = (expose(shot(ramp), Sensor(contrast=c), np.random.default_rng(0))[0, :, 0] for c in (1.0, 1.4))
    middle = np.abs(plain.astype(int) - 128) < 12
    slope = np.polyfit(plain[middle].astype(float), steep[middle].astype(float), 1)[0]
    assert slope == pytest.approx(1.4, rel=0.03)


def test_saturation_zero_is_grey() -> None:
    light = np.broadcast_to([0.2, 0.1, 0.05], (HEIGHT, WIDTH, 3))
    picture = expose(shot(light), Sensor(saturation=0.0), np.random.default_rng(0))
    assert np.ptp(picture.astype(int), axis=-1).max() == 0


@pytest.mark.parametrize(
    ("value", "sensor", "expected"),
    [(0.0, Sensor(read_noise=0.01), 0.01), (0.25, Sensor(shot_noise=0.04), 0.04 * 0.5)],
)
def test_noise_of_photosites(value: float, sensor: Sensor, expected: float) -> None:
    # A read noise is symmetric about 0, of which 8 bits show the upper half: lift it by a little light.
    lift = 0.1
    light = even((value or lift) / np.pi)
    values = linear(expose(light, sensor, np.random.default_rng(5)).astype(float))
    # RGGB: these are the values of the photosites themselves; the others are interpolated.
    assert values[::2, ::2, 0].std() == pytest.approx(expected, rel=0.05)
    assert values[1::2, 1::2, 2].std() == pytest.approx(expected, rel=0.05)
    # Red between two red photosites is the mean of both.
    assert values[::2, 1:-1:2, 0].std() == pytest.approx(expected / np.sqrt(2), rel=0.05)
    red = values[..., 0] - values[..., 0].mean()
    neighbours = (red[:, 1:] * red[:, :-1]).mean() / red.var()
    assert 0.3 < neighbours < 0.7
    assert values.mean() == pytest.approx(value or lift, rel=0.02)


def test_noise_comes_from_the_generator_alone() -> None:
    sensor = random_sensor(np.random.default_rng(3))
    first, again, other = (expose(even(0.1), sensor, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_corners_are_darker() -> None:
    picture = expose(even(0.3 / np.pi), Sensor(vignetting=0.4), np.random.default_rng(0))
    values = linear(picture)[..., 1]
    assert values[0, 0] / values[HEIGHT // 2, WIDTH // 2] == pytest.approx(0.6, abs=0.02)


def test_lens_blur_scales_with_the_picture() -> None:
    light = np.zeros((HEIGHT, WIDTH, 3))
    light[45, 80] = 0.4
    values = linear(expose(shot(light), Sensor(blur=4.0), np.random.default_rng(0)))[..., 1]
    across = values[45] / values[45].sum()
    variance = (across * (np.arange(WIDTH) - 80.0) ** 2).sum()
    assert np.sqrt(variance) == pytest.approx(4.0 * WIDTH / 640, rel=0.15)


def moving_square() -> tuple[Shot, slice, slice]:
    """A bright square before a striped wall; it moved 16 pixels to the right, the wall stands still."""
    light = np.full((HEIGHT, WIDTH, 3), 0.02)
    light[:, ::4] = 0.1
    rows, columns = slice(30, 60), slice(60, 100)
    light[rows, columns] = 0.2
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    depth[rows, columns], flow[rows, columns] = 1.0, (16.0, 0.0)
    return Shot(light.astype(np.float32), depth, flow), rows, columns


def test_motion_blur_is_as_long_as_the_shutter_is_open() -> None:
    moving, rows, _ = moving_square()
    values = linear(expose(moving, Sensor(shutter=0.5), np.random.default_rng(0)))[..., 1]
    edge = values[rows, 88:112].mean(axis=0)
    inside, outside = values[45, 80], values[rows, 112:130].mean()
    share = (edge - outside) / (inside - outside)
    # Half a frame of 16 pixels: the edge fades over 8 pixels about column 99.5.
    assert share[99 - 88 - 5] > 0.9 and share[99 - 88 + 6] < 0.1
    assert share[99 - 88] == pytest.approx(0.5, abs=0.2)


def test_motion_blur_leaves_the_still_background_sharp() -> None:
    moving, rows, _ = moving_square()
    sharp = expose(moving, Sensor(), np.random.default_rng(0)).astype(int)
    blurred = expose(moving, Sensor(shutter=0.5), np.random.default_rng(0)).astype(int)
    beside = np.abs(blurred - sharp)[rows, 106:130]
    assert beside.max() <= 2
    assert np.abs(blurred - sharp)[:20].max() == 0


def test_random_sensors_are_cameras() -> None:
    rng = np.random.default_rng(0)
    sensors = [random_sensor(rng) for _ in range(200)]
    assert all(0.7 < s.exposure < 1.42 and 0 < s.shutter <= 0.5 and 0 <= s.vignetting < 0.5 for s in sensors)
    assert len({s.shot_noise for s in sensors}) == 200
    dark = linear(expose(even(0.05), sensors[0], rng))
    assert 0.0 < dark.std() < 0.05
