"""Edits a lens or its glass could have made: sharpness, distortion, fringes, flare."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from pipeline.known_edits.canvas import blurred, convolved, luma, mix, positions, radius, ramp, sampled, screen, shorter, streak
from pipeline.known_edits.edit import Edit

ZOOM_STEPS = 16


def defocus(image, share, random):
    """Blur with a disc, as an open aperture does; at least one pixel."""
    size = max(share * shorter(image), 1.0)
    span = np.arange(-int(np.ceil(size)), int(np.ceil(size)) + 1)
    disc = np.clip(size + 0.5 - np.hypot(span[:, None], span), 0, 1)
    return convolved(image, (disc / disc.sum()).astype(np.float32))


def blur_surroundings(image, share, random):
    return mix(image, defocus(image, share, random), ramp(radius(image), 0.3, 0.6))


def soften_corners(image, share, random):
    return mix(image, blurred(image, share), ramp(radius(image), 0.45, 0.9))


def fringe(image, share, random):
    """Magnify red and shrink blue about the centre."""
    y, x = positions(image)
    red = sampled(image, y * (1 - share), x * (1 - share))
    blue = sampled(image, y * (1 + share), x * (1 + share))
    return np.stack([red[..., 0], image[..., 1], blue[..., 2]], -1)


def bulge(image, strength, random):
    """Barrel distortion: magnification falls with the square of the distance from the centre; the corners stay where they are."""
    y, x = positions(image)
    square = y * y + x * x
    factor = (1 + strength * square) / (1 + strength * square.max())
    return sampled(image, y * factor, x * factor)


def fisheye(image, strength, random):
    """An orthographic half sphere in a black frame."""
    y, x = positions(image)
    distance = np.hypot(y, x)
    inside = np.clip(distance, 1e-6, 0.999)
    factor = np.arcsin(inside) / (np.pi / 2) / inside * strength
    return sampled(image, y * factor, x * factor) * ramp(distance, 0.98, 0.95)[..., None]


def converge(image, strength, random):
    """Keystone, as of a building seen from its foot: the lower the more magnified."""
    y, x = positions(image)
    width = 1 - strength * (1 - y) / 2
    return sampled(image, y, x * width.min() / width)


def miniature(image, share, random):
    """Sharp only in a horizontal band, with toy-like colours."""
    y, _ = positions(image)
    away = ramp(np.abs(y - 0.15), 0.15, 0.6)[..., None]
    vivid = luma(image) + (image - luma(image)) * 1.5
    return mix(vivid, defocus(vivid, share, random), away)


def glow(image, strength, random):
    light = blurred(image, 0.05)
    return mix(image, screen(blurred(image, 0.008), light * 0.8), strength)


def flare(image, strength, random):
    """A bright source near an edge, a star of rays and ghosts on the line through the centre."""
    y, x = positions(image)
    angle = random.uniform(-0.9, 0.9) * np.pi / 2 - np.pi / 2  # in the upper half
    top, left = 0.75 * np.sin(angle), 0.75 * np.cos(angle)
    distance, bearing = np.hypot(y - top, x - left), np.arctan2(y - top, x - left)
    core = np.exp(-((distance / 0.16) ** 2)) * 1.3 + 0.5 * np.exp(-distance / 0.45)
    rays = np.exp(-distance / 0.5) * np.abs(np.cos(bearing * 4 + 0.3)) ** 30
    light = (core + rays)[..., None] * np.array([1.0, 0.93, 0.75])
    for place, size in ((-0.45, 0.09), (-0.8, 0.16), (-1.15, 0.07), (0.4, 0.05)):
        disc = np.hypot(y - top * place, x - left * place)
        shape = 0.5 * ramp(disc, size, 0.85 * size) + 0.35 * np.exp(-(((disc - size) / 0.015) ** 2))
        light = light + shape[..., None] * random.uniform(0.15, 0.8, 3)
    return screen(image, light * strength)


def leak(image, strength, random):
    """Orange and red light from one side, with a wavy edge."""
    y, x = positions(image)
    x, y = (x, y) if random.random() < 0.7 else (y, x)
    x = x if random.random() < 0.5 else -x
    edge = 0.45 + 0.18 * np.sin(2.2 * y + random.uniform(0, 6))
    light = ramp(x, edge - 0.6, edge + 0.45)[..., None] * np.array([1.0, 0.45, 0.1])
    hot = ramp(x, edge, edge + 0.6)[..., None] * np.array([1.0, 0.9, 0.5])
    return screen(image, strength * np.maximum(light, hot))


def dirt(image, darkness, random):
    """Soft dark specks and smears close to the lens."""
    y, x = positions(image)
    shade = np.zeros(image.shape[:2])
    for _ in range(random.integers(18, 30)):
        top, left = random.uniform(-1, 1, 2)
        size = random.uniform(0.05, 0.15)
        shade += random.uniform(0.4, 1) * ramp(np.hypot(y - top, (x - left) * random.uniform(0.7, 1.3)), size, 0.0)
    return image * (1 - darkness * np.clip(shade, 0, 1))[..., None]


def lights(image, strength, random):
    """Out-of-focus points of light: translucent discs with a brighter rim."""
    y, x = positions(image)
    light = np.zeros_like(image)
    for _ in range(random.integers(16, 26)):
        top, left = random.uniform(-1, 1, 2)
        size = random.uniform(0.08, 0.2)
        distance = np.hypot(y - top, x - left)
        shape = ramp(distance, size, 0.93 * size) * (0.55 + 0.45 * ramp(distance, 0.7 * size, 0.95 * size))
        light += shape[..., None] * np.array([1.0, random.uniform(0.5, 0.95), random.uniform(0.15, 0.7)]) * random.uniform(0.35, 0.8)
    return screen(blurred(image, 0.01) * 0.7, strength * light)


def frost(image, share, random):
    """Every pixel read from a random neighbour, softly."""
    y, x = positions(image)
    shift = ndimage.gaussian_filter(random.normal(0, 1, (2, *image.shape[:2])), (0, 1, 1)) * 3.5
    return blurred(sampled(image, y + share * shift[0], x + share * shift[1]), 0.004)


def smear(image, share, random):
    """Camera shake along a line in any direction."""
    return convolved(image, streak(round(share * shorter(image)), random.uniform(0, np.pi)))


def zoom(image, strength, random):
    """The mean of exposures at growing focal length."""
    picture = Image.fromarray((image * 255).round().astype(np.uint8))
    width, height = picture.size
    total = np.zeros(image.shape)
    for margin in np.linspace(0, strength / 2, ZOOM_STEPS):
        box = (margin * width, margin * height, width - margin * width, height - margin * height)
        total += np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))
    return total / (255 * ZOOM_STEPS)


EDITS = {
    "focus": Edit(defocus, low=(0.018, 0.035), high=None),
    "background-blur": Edit(blur_surroundings, high=(0.03, 0.05)),
    "corner-softness": Edit(soften_corners, high=(0.03, 0.045)),
    "chromatic-aberration": Edit(fringe, high=(0.025, 0.04)),
    "barrel-distortion": Edit(bulge, high=(0.3, 0.6)),
    "fisheye": Edit(fisheye, high=(1.2, 1.4)),
    "converging-verticals": Edit(converge, high=(0.4, 0.6)),
    "tilt-shift": Edit(miniature, high=(0.025, 0.04)),
    "soft-glow": Edit(glow, high=(0.75, 0.95)),
    "lens-flare": Edit(flare, high=(0.9, 1.1)),
    "light-leak": Edit(leak, high=(0.8, 1.0)),
    "lens-dirt": Edit(dirt, high=(0.5, 0.75)),
    "bokeh-lights": Edit(lights, high=(0.8, 1.0)),
    "frosted-glass": Edit(frost, high=(0.03, 0.05)),
    "motion-blur": Edit(smear, high=(0.1, 0.2)),
    "zoom-blur": Edit(zoom, high=(0.2, 0.35)),
}
