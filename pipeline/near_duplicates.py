"""Pictures that are nearly the same: compressed, resized, brightened or slightly cropped copies of one another.

Candidates are found by a perceptual hash of 64 bits: the signs, around their median, of the lowest 8 x 8 cosine frequencies
of a thumbnail (pHash; Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions). It sees hardly more
than light and dark areas, which two sunsets or two discs on black share, so candidates are confirmed by their fine detail:
thumbnails less their local mean, compared tile by tile. Where a picture is smooth nearly everywhere there is no detail to
compare, and it is nobody's near-duplicate.

Measured on the 18 packaged originals and 301 crops of them at 64 pixels: copies as JPEG (quality 75 and 40), at half size, 10 %
brighter, or with 2 % cropped away at every side or at two are found for all originals and for 95 to 97 % of the crops (the
rest are smooth); no two pictures of different originals are. What has moved further is not found: with 2.5 % cropped away at
every side 83 % of the originals and 42 % of the crops are; two views of a stereo camera are not. Of bursts, pictures that moved by
1 % are found (5 of 5), by 2 % rarely (1 of 5), by 3 % not (0 of 5). What can be mistaken are different faint textures in one outline (of
780 pairs of drawn discs that filled two fifths of a white picture 4 were) and drawn pictures of one template: slides, studio portraits.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import scipy.fft
from PIL import Image
from scipy.ndimage import uniform_filter

SIDE = 32
"""Of a thumbnail, in pixels."""
DIFFERING = 12
"""Bits in which the hashes of copies may differ. Crops of different originals differ in 32 (median of 42 624 pairs), at least in 14."""
SURROUNDINGS = 5
"""Side of the window whose mean is taken away, in pixels of the thumbnail."""
TILE = 4
TEXTURED = 1.5
"""Standard deviation of a tile's detail, in grey levels, from which on it shows something."""
ENOUGH = 0.25
"""Share of the tiles that must show something."""
WORST, ALIKE = 0.15, 0.25
"""All but this share of the tiles that show something must correlate as much: a shared outline alone reaches only some tiles."""
_CELLS, _PICTURES, _PAIRS = 2**22, 2**12, 2**12
"""How much is looked at together: comparisons of hashes, thumbnails to hash, pairs to confirm. It bounds the memory."""


def thumbnail(picture: Image.Image | np.ndarray) -> np.ndarray:
    """What is compared of a picture (RGB, or uint8 H x W x 3): its luma as uint8 SIDE x SIDE."""
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def near_duplicates(thumbnails: Sequence[np.ndarray], places: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, in ascending order, of nearly the same pictures whose places (groups, say) differ."""
    if len(thumbnails) != len(places):
        raise ValueError(f"{len(thumbnails)} thumbnails, but {len(places)} places")
    if not len(thumbnails):
        return []
    pictures = np.stack(thumbnails)
    hashes = np.concatenate([_hashes(part) for part in _parts(pictures, _PICTURES)])
    number = {place: n for n, place in enumerate(dict.fromkeys(places))}
    found: list[tuple[int, int]] = []
    for pairs in _candidates(hashes, np.array([number[place] for place in places])):
        for part in _parts(pairs, _PAIRS):
            alike = _alike(pictures[part[:, 0]], pictures[part[:, 1]])
            found += [(int(i), int(j)) for i, j in part[alike]]
    return found


def _hashes(pictures: np.ndarray) -> np.ndarray:
    """uint64, one a picture."""
    frequencies = scipy.fft.dctn(pictures.astype(np.float32), axes=(1, 2))[:, :8, :8].reshape(len(pictures), 64)
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _candidates(hashes: np.ndarray, places: np.ndarray) -> Iterator[np.ndarray]:
    """Arrays (pairs x 2) of those whose hashes are close."""
    rows = max(1, _CELLS // len(hashes))
    for start in range(0, len(hashes), rows):
        some = slice(start, start + rows)
        close = np.bitwise_count(hashes[some, None] ^ hashes[None, start:]) <= DIFFERING
        close &= places[some, None] != places[None, start:]
        pairs = np.argwhere(close) + start
        yield pairs[pairs[:, 0] < pairs[:, 1]]


def _alike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether the pictures a[n] and b[n] agree in their detail."""
    a, b = _detail(a), _detail(b)
    energy_a, energy_b = (a * a).mean(-1), (b * b).mean(-1)
    textured = np.maximum(energy_a, energy_b) > TEXTURED**2
    correlation = (a * b).mean(-1) / np.sqrt(energy_a * energy_b + 1e-6)
    count = textured.sum(1)
    ranked = np.sort(np.where(textured, correlation, np.inf), axis=1)
    worst = ranked[np.arange(len(ranked)), (WORST * np.maximum(count - 1, 0)).astype(int)]
    return (count >= ENOUGH * textured.shape[1]) & (worst >= ALIKE)


def _detail(pictures: np.ndarray) -> np.ndarray:
    """Thumbnails less their local mean, as pictures x tiles x pixels, every tile around zero."""
    values = pictures.astype(np.float32)
    values -= uniform_filter(values, (0, SURROUNDINGS, SURROUNDINGS), mode="nearest")
    across = SIDE // TILE
    tiles = values.reshape(-1, across, TILE, across, TILE).transpose(0, 1, 3, 2, 4).reshape(len(values), across * across, TILE * TILE)
    return tiles - tiles.mean(-1, keepdims=True)


def _parts(values: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (values[start : start + size] for start in range(0, len(values), size))
