"""Edits of colour: casts, toned monochromes, gradings."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipeline.known_edits.canvas import blurred, luma, mix, ramp
from pipeline.known_edits.edit import Edit

SEPIA = ((0.0, 0.0, 0.0), (0.46, 0.33, 0.2), (1.0, 0.93, 0.78))
CYANOTYPE = ((0.0, 0.06, 0.2), (0.12, 0.36, 0.62), (0.94, 0.97, 0.98))
THERMAL = ((0.0, 0.0, 0.2), (0.4, 0.0, 0.6), (0.9, 0.15, 0.25), (1.0, 0.65, 0.0), (1.0, 1.0, 0.75))
DUOTONES = (((0.15, 0.05, 0.45), (1.0, 0.75, 0.3)), ((0.0, 0.25, 0.3), (1.0, 0.55, 0.55)), ((0.45, 0.0, 0.25), (0.6, 1.0, 0.75)))


def saturate(image, doublings, random):
    grey = luma(image)
    return grey + (image - grey) * 2**doublings


def warm(image, strength, random):
    return image * np.array([np.exp(strength), 1, np.exp(-strength)], np.float32)


def tint(image, strength, random):
    """Magenta; negative: green."""
    return image * np.exp(np.array([0.5, -1, 0.5], np.float32) * strength)


def toned(image, strength, random, tones):
    """Monochrome, with `tones` (RGB) evenly from black to white."""
    at = np.linspace(0, 1, len(tones))
    grey = luma(image)[..., 0]
    return np.stack([np.interp(grey, at, channel) for channel in zip(*tones, strict=True)], -1)


def duotone(image, strength, random):
    return toned(image, strength, random, DUOTONES[random.integers(len(DUOTONES))])


def night_vision(image, gain, random):
    grey = np.clip(luma(image) * gain + random.normal(0, 0.07, image.shape[:2])[..., None], 0, 1)
    return grey * np.array([0.15, 1.0, 0.25], np.float32)


def keep_one_hue(image, width, random):
    """Grey but for the hue that has most of the picture's colour."""
    hue, chroma = _hue_and_chroma(image)
    counts, edges = np.histogram(hue, 36, (0, 2 * np.pi), weights=chroma)
    main = edges[counts.argmax()] + np.pi / 36
    away = np.abs((hue - main + np.pi) % (2 * np.pi) - np.pi)
    grey = luma(image)
    return grey + (image - grey) * (1.4 * ramp(away, width, 0.7 * width))[..., None]


def grade(image, strength, random):
    """Teal in the shadows, orange in the highlights."""
    bright = ramp(luma(image), 0.2, 0.8)
    return image + strength * mix(np.array([-0.5, 0.15, 0.3]), np.array([0.5, 0.1, -0.6]), bright)


def cross_process(image, strength, random):
    """S-curves in red and green, a flattened blue: slide film in the wrong bath."""
    red, green, blue = (image[..., c] for c in range(3))
    curved = np.stack([ramp(red, 0.05, 0.9), ramp(green, 0.02, 0.95), 0.25 + 0.5 * blue], -1)
    return mix(image, curved, strength)


def turn_hues(image, angle, random):
    """Rotate all colours about the grey axis."""
    cosine, sine = np.cos(angle), np.sin(angle)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    rotation = cosine * np.eye(3) + (1 - cosine) / 3 + sine * cross  # Rodrigues
    return luma(image) + (image - luma(image)) @ rotation.T * 1.6


def pale(image, strength, random):
    return mix(luma(image) + (image - luma(image)) * 0.8, 1.0, strength)


def few_colours(image, count, random):
    """An adaptive palette with error diffusion, on coarse pixels as old displays had."""
    from PIL import Image

    picture = Image.fromarray((image * 255).round().astype(np.uint8))
    small = picture.resize((max(picture.width // 2, 1), max(picture.height // 2, 1)), Image.Resampling.BOX)
    palette = small.quantize(round(count))
    dithered = small.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB")
    return np.asarray(dithered.resize(picture.size, Image.Resampling.NEAREST), np.float32) / 255


def bleed(image, share, random):
    """Colour blurred and shifted against the luma, as on old video tape."""
    grey = luma(image)
    colour = blurred(image - grey, share)
    return grey + 1.5 * np.roll(colour, round(share * image.shape[1]), axis=1)


def fade_dyes(image, strength, random):
    faded = 0.25 + 0.65 * (luma(image) + (image - luma(image)) * 0.5)
    return mix(image, faded * np.array([1.1, 0.98, 0.72]), strength)


def light_up(image, strength, random):
    """Multiply by a saturated light of random hue."""
    hue = random.uniform(0, 2 * np.pi)
    lamp = 0.5 + 0.5 * np.cos(hue - np.array([0, 2, 4]) * np.pi / 3)
    return mix(image, luma(image) * 0.6 + image * 0.4, 0.8) * mix(1.0, lamp * 1.3, strength)


def _hue_and_chroma(image) -> tuple[np.ndarray, np.ndarray]:
    red, green, blue = (image[..., c] for c in range(3))
    first, second = red - (green + blue) / 2, (green - blue) * np.sqrt(3) / 2
    return np.arctan2(second, first) % (2 * np.pi), np.hypot(first, second)


EDITS = {
    "saturation": Edit(saturate, low=(-2.5, -1.3), high=(0.8, 1.4)),
    "temperature": Edit(warm, low=(-0.4, -0.22), high=(0.22, 0.4)),
    "tint": Edit(tint, low=(-0.24, -0.13), high=(0.13, 0.24)),
    "monochrome": Edit(partial(toned, tones=((0, 0, 0), (1, 1, 1)))),
    "sepia": Edit(partial(toned, tones=SEPIA)),
    "cyanotype": Edit(partial(toned, tones=CYANOTYPE)),
    "thermal": Edit(partial(toned, tones=THERMAL)),
    "duotone": Edit(duotone),
    "night-vision": Edit(night_vision, high=(0.9, 1.4)),
    "selective-colour": Edit(keep_one_hue, high=(0.45, 0.7)),
    "teal-and-orange": Edit(grade, high=(0.35, 0.55)),
    "cross-processing": Edit(cross_process, high=(0.8, 1.0)),
    "false-colour": Edit(turn_hues, high=(1.6, 4.6)),
    "pastel": Edit(pale, high=(0.45, 0.6)),
    "dithering": Edit(few_colours, high=(3.6, 6.4)),
    "colour-bleeding": Edit(bleed, high=(0.03, 0.05)),
    "faded-dyes": Edit(fade_dyes, high=(0.8, 1.0)),
    "coloured-light": Edit(light_up, high=(0.85, 1.0)),
}
