"""Edits that sensors, films, codecs and screens leave behind."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from pipeline.known_edits.canvas import blurred, luma, mix, positions, sampled, shorter
from pipeline.known_edits.edit import Edit


def add_noise(image, deviation, random):
    return image + random.normal(0, deviation, image.shape)


def add_chroma_noise(image, deviation, random):
    """Blotches of colour that leave the luma alone."""
    noise = ndimage.gaussian_filter(random.normal(0, 1, image.shape), (1.2, 1.2, 0)) * 4 * deviation
    return image + noise - luma(noise)


def add_grain(image, strength, random):
    """Monochrome, of a size, and strongest in the mid-tones."""
    size = max(0.5, shorter(image) / 400)
    grain = ndimage.gaussian_filter(random.normal(0, 1, image.shape[:2]), size)
    grain = (grain / grain.std())[..., None]
    grey = luma(image)
    return mix(image, grey, 0.3) + strength * grain * (0.35 + 2.6 * grey * (1 - grey))


def stick_pixels(image, share, random):
    stuck = random.random(image.shape[:2]) < share
    colours = np.eye(3)[random.integers(0, 3, image.shape[:2])] * 0.8 + 0.2
    return np.where(stuck[..., None], colours, image)


def compress(image, quality, random):
    buffer = io.BytesIO()
    _picture(image).save(buffer, "JPEG", quality=round(quality))
    return np.asarray(Image.open(buffer), np.float32) / 255


def pixelate(image, cells, random):
    return _resized(image, cells, Image.Resampling.NEAREST)


def blow_up(image, cells, random):
    return _resized(image, cells, Image.Resampling.BICUBIC)


def interlace(image, share, random):
    """Odd rows were recorded later: they are shifted."""
    shift = max(2, round(share * image.shape[1]))
    rows = np.arange(image.shape[0]) // max(1, shorter(image) // 200) % 2 == 1
    return np.where(rows[:, None, None], np.roll(image, shift, axis=1), image)


def scan_lines(image, darkness, random):
    period = max(3, shorter(image) // 64)
    rows = np.arange(image.shape[0]) % period < period / 2
    return (image * 1.15 + 0.03) * np.where(rows, 1 - darkness, 1)[:, None, None]


def moire(image, strength, random):
    """The beat of two fine grids, in another phase for each colour."""
    y, x = positions(image)
    angle = random.uniform(0, np.pi)
    bent = 14 * (x * np.cos(angle) + y * np.sin(angle)) + 5 * np.sin(1.7 * y + random.uniform(0, 6)) + 4 * np.cos(1.9 * x)
    waves = np.stack([np.sin(bent + phase) for phase in (0.0, 0.9, 1.8)], -1)
    fine = np.sin(np.arange(image.shape[1]) * np.pi / 1.5)[None, :, None] * 0.04
    return image + strength * waves + fine


def halftone(image, dots, random):
    """Black dots on a grid at 45 degrees, the larger the darker."""
    y, x = positions(image)
    u, v = (x + y) * np.pi * dots / 2.83, (x - y) * np.pi * dots / 2.83
    pattern = (0.5 + 0.25 * (np.cos(u) + np.cos(v)))[..., None]
    grey = blurred(luma(image), 0.4 / dots)
    sharp = shorter(image) / dots / 1.5
    return np.repeat(0.5 + np.clip((grey - pattern) * sharp, -0.5, 0.5), 3, 2)


def roll_shutter(image, strength, random):
    """Rows are read one after another while the camera sways."""
    y, x = positions(image)
    phase = random.uniform(0, 2 * np.pi)
    return sampled(image, y, x + 0.5 * strength * y + 0.3 * strength * np.sin(6 * y + phase))


def corrupt(image, strength, random):
    """Bands of rows displaced, some with their channels torn apart."""
    broken = image.copy()
    height, width = image.shape[:2]
    for _ in range(random.integers(6, 10)):
        top = int(random.integers(0, height))
        rows = slice(top, top + max(2, int(random.uniform(0.02, 0.09) * height)))
        for channel in range(3):
            shift = int(random.uniform(-strength, strength) * width)
            broken[rows, :, channel] = np.roll(broken[rows, :, channel], shift, axis=1)
    return broken


def ring(image, cut, random):
    """A hard low-pass: Gibbs ripples beside every edge. `cut` is in cycles per shorter side."""
    height, width = image.shape[:2]
    scale = shorter(image)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(2 * width)[None]) * scale
    wide = np.concatenate([image, image[:, ::-1]], 1)  # no jump at the left and right edges
    spectrum = np.fft.rfft2(wide, axes=(0, 1)) * (frequency < cut)[..., None]
    return np.fft.irfft2(spectrum, s=wide.shape[:2], axes=(0, 1))[:, :width]


def oversharpen(image, amount, random):
    return image + amount * (image - blurred(image, 0.008))


def smooth_or_sharpen(image, amount, random):
    """Negative: a median takes the small things away; positive: a fine unsharp mask brings them out."""
    if amount > 0:
        return image + amount * (image - blurred(image, 0.004))
    from skimage.filters.rank import median
    from skimage.morphology import disk

    area = disk(max(1, round(-amount * shorter(image))))
    channels = np.moveaxis((image * 255).round().astype(np.uint8), 2, 0)
    return np.stack([median(channel, area) for channel in channels], -1) / 255


def _picture(image) -> Image.Image:
    return Image.fromarray((np.clip(image, 0, 1) * 255).round().astype(np.uint8))


def _resized(image, cells: float, enlarging: Image.Resampling) -> np.ndarray:
    """Through a picture with `cells` pixels on its shorter side."""
    picture = _picture(image)
    factor = cells / shorter(image)
    small = picture.resize([max(1, round(side * factor)) for side in picture.size], Image.Resampling.BOX)
    return np.asarray(small.resize(picture.size, enlarging), np.float32) / 255


EDITS = {
    "noise": Edit(add_noise, high=(0.12, 0.22)),
    "chroma-noise": Edit(add_chroma_noise, high=(0.12, 0.2)),
    "film-grain": Edit(add_grain, high=(0.12, 0.18)),
    "hot-pixels": Edit(stick_pixels, high=(0.01, 0.02)),
    "jpeg-blocks": Edit(compress, high=(2.6, 6.4)),
    "pixelation": Edit(pixelate, high=(16, 28)),
    "upscaling": Edit(blow_up, high=(20, 32)),
    "interlacing": Edit(interlace, high=(0.025, 0.05)),
    "scan-lines": Edit(scan_lines, high=(0.55, 0.8)),
    "moire": Edit(moire, high=(0.12, 0.2)),
    "halftone": Edit(halftone, high=(32, 48)),
    "rolling-shutter": Edit(roll_shutter, high=(0.3, 0.5)),
    "glitch": Edit(corrupt, high=(0.2, 0.4)),
    "ringing": Edit(ring, high=(16, 28)),
    "sharpening-halos": Edit(oversharpen, high=(2.5, 4.5)),
    "detail": Edit(smooth_or_sharpen, low=(-0.018, -0.012), high=(0.8, 1.2)),
}
