"""Edits of the frame: turned, mirrored, framed, assembled, written on."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.known_edits.canvas import mix, positions, sampled, screen, shorter
from pipeline.known_edits.edit import Edit

DAYS, MONTHS, YEARS = (1, 29), (1, 13), (80, 100)


def tilt(image, degrees, random):
    """Either way, enlarged so that no corner is empty (for a square)."""
    angle = np.deg2rad(degrees) * random.choice([-1, 1])
    y, x = positions(image)
    cosine, sine = np.cos(angle), np.sin(angle)
    size = abs(cosine) + abs(sine)
    return sampled(image, (y * cosine - x * sine) / size, (y * sine + x * cosine) / size)


def turn_over(image, strength, random):
    return image[::-1, ::-1]


def lay_sideways(image, strength, random):
    """A quarter turn either way; what is not square is cropped and enlarged to its own shape."""
    height, width = image.shape[:2]
    turned = np.rot90(image, random.choice([1, 3]))
    factor = max(height / turned.shape[0], width / turned.shape[1])
    y, x = positions(image)
    return sampled(turned, y / factor, x / factor)


def mirror(image, strength, random):
    half = image[:, : (image.shape[1] + 1) // 2]
    return np.concatenate([half, half[:, ::-1]], 1)[:, : image.shape[1]]


def reflect_in_water(image, strength, random):
    """The upper half again below, upside down, darker and rippled."""
    y, x = positions(image)
    ripple = 0.02 * strength * np.sin(26 * np.sqrt(np.clip(y, 0, None) + 0.2) + 3 * x)
    below = sampled(image, -y - 0.02, x + ripple) * np.array([0.68, 0.76, 0.84])
    return np.where((y > 0)[..., None], below, image)


def overlay(image, share, random):
    """Itself again: mirrored and enlarged about another point."""
    y, x = positions(image)
    top, left = random.uniform(-0.3, 0.3, 2)
    other = sampled(image, 0.6 * y + top, -0.6 * x + left)
    return mix(image, other, share) * 1.1


def assemble(image, gutter, random):
    """Four parts of it, each enlarged, mirrored or turned over, with white between."""
    height, width = image.shape[:2]
    page = np.ones_like(image)
    gap = max(2, round(gutter * shorter(image)))
    for top, bottom in ((0, (height - gap) // 2), ((height + gap) // 2, height)):
        for left, right in ((0, (width - gap) // 2), ((width + gap) // 2, width)):
            share = random.uniform(0.35, 0.9)
            part_height, part_width = int(share * height), int(share * width)
            row, column = random.integers(0, height - part_height + 1), random.integers(0, width - part_width + 1)
            part = _resized(image[row : row + part_height, column : column + part_width], bottom - top, right - left)
            page[top:bottom, left:right] = part[:, :: random.choice([-1, 1])]
    return page


def letterbox(image, share, random):
    bar = round(share * image.shape[0])
    boxed = image.copy()
    boxed[:bar] = boxed[len(boxed) - bar :] = 0
    return boxed


def print_on_white(image, share, random):
    """The picture shrunk into a white sheet with its broadest margin below."""
    height, width = image.shape[:2]
    margin = round(share * shorter(image))
    sheet = np.full_like(image, 0.96)
    inner = _resized(image, height - 4 * margin, width - 2 * margin)
    sheet[margin : margin + inner.shape[0], margin : width - margin] = inner
    return sheet


def stamp_date(image, brightness, random):
    day, month, year = (int(random.integers(*limits)) for limits in (DAYS, MONTHS, YEARS))
    size = shorter(image) * 0.1
    mask = _text(image, f"'{year} {month:2d} {day:2d}", size, "rs", (image.shape[1] - size, image.shape[0] - size))
    return mix(image, np.array([1.0, 0.55, 0.1]), mask * brightness)


def mark(image, opacity, random):
    """Translucent lettering in diagonal rows."""
    height, width = image.shape[:2]
    side = int(np.hypot(height, width)) + 1
    sheet = Image.new("L", (side, side))
    font, draw = ImageFont.load_default(max(8, shorter(image) * 0.09)), ImageDraw.Draw(sheet)
    step = max(12, round(shorter(image) * 0.24))
    for row, top in enumerate(range(0, side, step)):
        draw.text((-(row % 3) * step * 0.6, top), "© SAMPLE   " * 8, fill=255, font=font)
    turned = sheet.rotate(30, Image.Resampling.BICUBIC)
    left, top = (side - width) // 2, (side - height) // 2
    mask = np.asarray(turned.crop((left, top, left + width, top + height)), np.float32)[..., None] / 255
    return mix(image, 1.0, mask * opacity)


def look_through(image, strength, random):
    """A camcorder's marks: corners, a cross, REC with its dot, the running time."""
    height, width = image.shape[:2]
    sheet = Image.new("RGB", (width, height))
    draw, side = ImageDraw.Draw(sheet), shorter(image)
    margin, arm, line = side * 0.07, side * 0.13, max(1, round(side / 150))
    for x, toward in ((margin, arm), (width - margin, -arm)):
        for y, down in ((margin, arm), (height - margin, -arm)):
            draw.line((x + toward, y, x, y, x, y + down), fill="white", width=line)
    draw.line((width / 2 - arm / 2, height / 2, width / 2 + arm / 2, height / 2), fill="white", width=line)
    draw.line((width / 2, height / 2 - arm / 2, width / 2, height / 2 + arm / 2), fill="white", width=line)
    font = ImageFont.load_default(max(8, side * 0.075))
    dot = side * 0.028
    x, y = 1.9 * margin, 2.1 * margin
    draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill="red")
    draw.text((x + 2 * dot, y), "REC", fill="white", font=font, anchor="lm")
    clock = f"00:{random.integers(60):02d}:{random.integers(60):02d}"
    draw.text((width - 1.5 * margin, height - 1.5 * margin), clock, fill="white", font=font, anchor="rb")
    marks = np.asarray(sheet, np.float32) / 255
    return mix(image * 0.9, marks, strength * (marks.max(2, keepdims=True) > 0.3))


def scratch(image, strength, random):
    """Hair-thin bright lines, specks of dust and fading as on a neglected print."""
    height, width = image.shape[:2]
    sheet = Image.new("L", (width, height))
    draw, thin = ImageDraw.Draw(sheet), max(1, round(shorter(image) / 220))
    for _ in range(random.integers(10, 18)):
        x, y = random.uniform(0, width), random.uniform(-0.2, 0.8) * height
        draw.line((x, y, x + random.normal(0, 0.06) * width, y + random.uniform(0.2, 0.9) * height), fill=255, width=thin)
    for _ in range(random.integers(60, 110)):
        x, y, size = random.uniform(0, width), random.uniform(0, height), random.exponential(0.004) * shorter(image) + 0.4
        draw.ellipse((x - size, y - size, x + size, y + size), fill=255)
    return screen(0.08 + 0.84 * image, strength * np.asarray(sheet, np.float32)[..., None] / 255)


def _text(image, text: str, size: float, anchor: str, at: tuple[float, float]) -> np.ndarray:
    """Coverage, H x W x 1, of a line of text."""
    sheet = Image.new("L", image.shape[1::-1])
    ImageDraw.Draw(sheet).text(at, text, fill=255, font=ImageFont.load_default(max(8, size)), anchor=anchor)
    return np.asarray(sheet, np.float32)[..., None] / 255


def _resized(image, height: int, width: int) -> np.ndarray:
    picture = Image.fromarray((image * 255).round().astype(np.uint8))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 255


EDITS = {
    "tilted-horizon": Edit(tilt, high=(14, 28)),
    "upside-down": Edit(turn_over),
    "sideways": Edit(lay_sideways),
    "mirror-symmetry": Edit(mirror),
    "water-reflection": Edit(reflect_in_water, high=(0.6, 1.2)),
    "double-exposure": Edit(overlay, high=(0.42, 0.52)),
    "collage": Edit(assemble, high=(0.02, 0.04)),
    "letterbox": Edit(letterbox, high=(0.13, 0.2)),
    "instant-film": Edit(print_on_white, high=(0.055, 0.08)),
    "date-stamp": Edit(stamp_date, high=(0.85, 1.0)),
    "watermark": Edit(mark, high=(0.4, 0.6)),
    "viewfinder": Edit(look_through, high=(0.85, 1.0)),
    "dust-and-scratches": Edit(scratch, high=(0.7, 0.95)),
}
