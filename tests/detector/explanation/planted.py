"""Stand-in images and texts to read heads against."""

import numpy as np

from detector.explanation.grounding import Reference

WIDTH, EMBEDDING, TEXTS = 24, 12, 20


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def reference(n=300, texts=TEXTS, groups=60, seed=0) -> Reference:
    """Anisotropic features with a large mean, as of a CLIP."""
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((WIDTH, WIDTH)) * np.linspace(2, 0.2, WIDTH)[:, None]
    pooled = random.standard_normal((n, WIDTH)) @ mixing + 5 * random.standard_normal(WIDTH)
    projection = random.standard_normal((EMBEDDING, WIDTH))
    directions = unit(random.standard_normal((texts, EMBEDDING)))
    return Reference(pooled, projection, directions, [f"text {i}" for i in range(texts)], np.arange(n) % groups)
