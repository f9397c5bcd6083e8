"""Pictures that fill a surface once: printed pages, book covers, paintings, screens, keyboards, panes.

Texture coordinates from (0, 0) to (1, 1) show the whole picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from genego_ros.data.synthetic.scene import Material
from genego_ros.data.synthetic.textures import SIZE, Color, noise
from genego_ros.types import ByteArray, FloatArray


def _canvas(width: int, height: int, color: Color) -> FloatArray:
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = color
    return picture


def _text(
    rng: np.random.Generator, picture: FloatArray, box: tuple[int, int, int, int], size: int, ink: Color, lead: float
) -> None:
    """Lines of words as they look from where nobody can read them; box is x0, y0, x1, y1 in pixels."""
    x0, y0, x1, y1 = box
    y = float(y0)
    while y + size < y1:
        x = float(x0)
        end = x1 if rng.random() < 0.8 else x0 + rng.uniform(0.2, 0.9) * (x1 - x0)
        while x < end:
            width = size * rng.uniform(0.8, 4.5)
            stop = min(x + width, end)
            cv2.rectangle(picture, (int(x), int(y)), (int(stop), int(y) + size - 1), _shade(rng, ink), -1)
            x += width + 0.6 * size
        y += lead * size


def _shade(rng: np.random.Generator, color: Color, spread: float = 0.12) -> list[float]:
    scale = 1 + rng.uniform(-spread, spread)
    return [min(255.0, c * scale + 20 * rng.random()) for c in color]


_SYLLABLES = ("la", "no", "re", "ti", "mar", "den", "so", "vel", "ka", "ro", "lin", "tes", "ber", "um", "ga", "fi")


def _word(rng: np.random.Generator) -> str:
    """A word of no language, capitalised or in capitals."""
    word = "".join(_SYLLABLES[i] for i in rng.integers(len(_SYLLABLES), size=rng.integers(2, 4)))
    return word.upper() if rng.random() < 0.5 else word.capitalize()


def _calm(rng: np.random.Generator) -> list[float]:
    """A printing ink of modest saturation."""
    grey = rng.uniform(50, 225)
    return np.clip(grey + rng.normal(0, 32, 3), 15, 245).tolist()


def page(rng: np.random.Generator) -> Material:
    """A printed sheet, 3:4: headline, paragraphs, sometimes a figure or a table."""
    width, height = 288, 384
    picture = _canvas(width, height, (246, 244, 238))
    ink = (92, 92, 96)  # thin letters let the paper show
    left, top = 30, int(rng.integers(24, 60))
    cv2.rectangle(picture, (left, top), (left + int(rng.integers(60, 200)), top + 9), (50, 50, 56), -1)
    top += 24
    while top < height - 50:
        bottom = min(top + int(rng.integers(40, 130)), height - 30)
        if rng.random() < 0.25:
            cv2.rectangle(picture, (left, top), (width - left, bottom - 8), _shade(rng, (175, 185, 200), 0.3), -1)
            for _ in range(4):
                points = rng.uniform([left + 4, top + 4], [width - left - 4, bottom - 12], (5, 2))
                points = points[np.argsort(points[:, 0])].astype(np.int32)
                cv2.polylines(picture, [points], False, rng.uniform(20, 200, 3).tolist(), 2, cv2.LINE_AA)
        else:
            _text(rng, picture, (left, top, width - left, bottom - 8), 3, ink, 2.4)
        top = bottom + 6
    return Material(texture=picture.astype(np.uint8), roughness=0.85, tile=0.21)


def notes(rng: np.random.Generator) -> Material:
    """A page of a notebook, ruled or squared, with handwriting."""
    width, height = 256, 352
    picture = _canvas(width, height, (248, 246, 240))
    step = int(rng.integers(10, 16))
    rule = (200, 212, 228)
    picture[step::step] = rule
    if rng.random() < 0.5:
        picture[:, step::step] = rule
    ink = [(38, 48, 120), (40, 40, 44), (120, 30, 36)][rng.integers(3)]
    for line in range(2, int(rng.integers(5, height // step - 1))):
        x = 24.0
        end = rng.uniform(0.4, 0.95) * width
        while x < end:
            count = int(rng.integers(6, 22))
            wave = np.cumsum(rng.uniform(0.8, 2.4, count))
            letters = line * step - 2 - np.abs(rng.normal(0, 0.33 * step, count))
            points = np.stack([x + wave, letters], axis=1)
            cv2.polylines(picture, [(points * 16).astype(np.int32)], False, ink, 1, cv2.LINE_AA, 4)
            x += wave[-1] + 7
    return Material(texture=picture.astype(np.uint8), roughness=0.85, tile=0.18)


def cover(rng: np.random.Generator, color: Color) -> Material:
    """The front of a book or a box: a ground, a band or a picture, a title."""
    width, height = 192, 256
    picture = _canvas(width, height, color)
    other = _calm(rng)
    kind = rng.integers(3)
    if kind == 0:
        top, bottom = np.sort(rng.integers(20, height - 20, 2))
        picture[top:bottom] = other
    elif kind == 1:
        painted = landscape(rng)
        picture[80:230, 16:-16] = cv2.resize(painted, (width - 32, 150), interpolation=cv2.INTER_AREA)
    else:
        for _ in range(int(rng.integers(2, 7))):
            middle, radius = rng.integers(10, [width - 10, height - 10]), int(rng.integers(8, 60))
            cv2.circle(picture, middle.tolist(), radius, _calm(rng), -1, cv2.LINE_AA)
    printed = np.clip(picture, 0, 255).astype(np.uint8)
    ink = (30, 30, 34) if np.mean(color) > 128 else (236, 232, 222)
    font = int(rng.choice([cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    size = rng.uniform(0.7, 1.3)
    for line in range(int(rng.integers(1, 4))):
        cv2.putText(printed, _word(rng), (18, int(44 + 34 * size * line)), font, size, ink, 1, cv2.LINE_AA)
    cv2.putText(printed, f"{_word(rng)} {_word(rng)}", (18, height - 12), font, 0.45, ink, 1, cv2.LINE_AA)
    return Material(texture=printed, roughness=rng.uniform(0.3, 0.7), tile=0.2)


def landscape(rng: np.random.Generator) -> ByteArray:
    """A landscape or an abstract, uint8 (256, 256, 3): what hangs on walls and stands on covers."""
    sky = rng.uniform(130, 235) + rng.normal(0, 22, 3)
    low = np.clip(sky + rng.uniform(-60, 30) + rng.normal(0, 25, 3), 60, 250)
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[:, None, None]
    picture = np.broadcast_to(sky * (1 - ramp) + low * ramp, (256, 256, 3)).astype(np.float32)
    picture += 7 * noise(rng, 3, 1.5, 2)[::2, ::2, None]
    color = rng.uniform(60, 160) + rng.normal(0, 24, 3)
    for layer in range(int(rng.integers(3, 7))):
        ridge = 90 + 28 * layer + rng.uniform(6, 26) * noise(rng, 2, 1.6)[layer, ::2]
        below = np.arange(256)[:, None] > ridge
        color = np.clip(color * rng.uniform(0.7, 0.95) + rng.normal(0, 14, 3), 10, 250)
        grain = 1 + 0.08 * noise(rng, 30, 0.8)[::2, ::2, None]
        picture = np.where(below[..., None], color * grain, picture)
    return np.clip(picture, 0, 255).astype(np.uint8)


def painting(rng: np.random.Generator) -> Material:
    """A picture behind glass, with or without a mat."""
    picture = landscape(rng)
    if rng.random() < 0.5:
        mat = _canvas(256, 256, (240, 238, 232))
        border = int(rng.integers(24, 56))
        inner = 256 - 2 * border
        mat[border:-border, border:-border] = cv2.resize(picture, (inner, inner), interpolation=cv2.INTER_AREA)
        picture = mat.astype(np.uint8)
    return Material(texture=picture, roughness=0.35)


def screen(rng: np.random.Generator) -> Material:
    """A screen that is on: windows, bars and text; it gives off light."""
    width, height = 384, 240
    dark = rng.random() < 0.5
    ground = cv2.resize(landscape(rng), (width, height), interpolation=cv2.INTER_LINEAR)
    picture = ground.astype(np.float32) * 0.8
    for _ in range(int(rng.integers(1, 4))):
        x0, y0 = int(rng.integers(0, 120)), int(rng.integers(4, 60))
        x1, y1 = int(rng.integers(x0 + 120, width)), int(rng.integers(y0 + 90, height - 10))
        cv2.rectangle(picture, (x0, y0), (x1, y1), (34, 36, 42) if dark else (244, 245, 247), -1)
        cv2.rectangle(picture, (x0, y0), (x1, y0 + 10), (60, 62, 70) if dark else (216, 218, 224), -1)
        ink = (170, 185, 200) if dark else (88, 90, 98)
        _text(rng, picture, (x0 + 8, y0 + 18, x1 - 10, y1 - 6), 3, ink, 2.3)
    picture[-10:] = (40, 44, 54) if dark else (222, 226, 232)
    texture = np.clip(picture, 0, 255).astype(np.uint8)
    return Material(texture=texture, roughness=0.25, emission=rng.uniform(0.35, 0.8))


def keys(rng: np.random.Generator, color: Color) -> Material:
    """The top of a keyboard, 3:1; the keys stand out."""
    width, height, rows = 480, 160, 5
    dark = tuple(0.55 * c for c in color)
    picture = _canvas(width, height, (dark[0], dark[1], dark[2]))
    bump = np.zeros((height, width), np.float32)
    ink = (225, 225, 225) if np.mean(color) < 110 else (60, 60, 64)
    step = (height - 10) / rows
    for row in range(rows):
        x = 6.0
        y = int(5 + row * step)
        while x < width - 20:
            wide = rng.choice([1.0, 1.0, 1.0, 1.0, 1.5]) if row < rows - 1 or not 130 < x < 160 else 5.5
            end = min(x + wide * step - 3, width - 6)
            corner, opposite = (int(x), y), (int(end), int(y + step - 4))
            cv2.rectangle(picture, corner, opposite, color, -1)
            cv2.rectangle(bump, corner, opposite, 0.0025, -1)
            cv2.circle(picture, (int(x) + 9, y + 10), 2, ink, -1, cv2.LINE_AA)
            x += wide * step
    return Material(texture=picture.astype(np.uint8), roughness=0.5, bump=cv2.GaussianBlur(bump, (3, 3), 0), tile=0.42)


def pane(rng: np.random.Generator, radiance: FloatArray, emission: float) -> Material:
    """What is outside a window, out of focus, cut from an environment's horizon; by day brighter than the room."""
    height, width = radiance.shape[:2]
    left = int(rng.integers(0, width - width // 4))
    view = radiance[height * 5 // 16 : height * 9 // 16, left : left + width // 4]
    view = np.clip(view / np.percentile(view, 90), 0, 1) ** (1 / 2.2)
    texture = cv2.resize(view.astype(np.float32), (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_CUBIC)
    return Material(texture=(255 * np.clip(texture, 0, 1)).astype(np.uint8), roughness=0.1, emission=emission)
