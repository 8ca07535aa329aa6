"""Stand-ins for the benchmark of features: photographs cut from real ones, packaged in shards, and CLIPs of random weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline.images import encode_png, sha256
from pipeline.records import IMAGE, write_shards

EMBEDDED, LARGE = "embedded", "ViT-L/14-336"
SIZES = {EMBEDDED: (64, 64), LARGE: (1152, 768)}
"""Width and height of the photographs: those of the embedded profile, and of the paper's."""
PREFIX = "train"
DIFFERENT = 40
"""Pictures whose pixels differ."""
WEIGHTS = "weights"
SCHEMA = pa.schema([*((name, pa.string()) for name in ("image_id", "group", "split", "sha256")), ("image", IMAGE)])


@cache
def originals() -> list[Image.Image]:
    from skimage import data
    from sklearn.datasets import load_sample_images

    names = ("astronaut", "coffee", "rocket", "chelsea", "hubble_deep_field", "retina", "immunohistochemistry")
    return [Image.fromarray(image) for image in (*load_sample_images().images, *(getattr(data, name)() for name in names))]


@cache
def photograph(number: int, size: tuple[int, int]) -> bytes:
    """A PNG of this size: cut from an original at random, with a little of a sensor's noise."""
    random = np.random.default_rng(number)
    original = originals()[number % len(originals())]
    share = random.uniform(0.5, 1)
    width, height = (int(side * share) for side in original.size)
    left, top = int(random.integers(original.width - width + 1)), int(random.integers(original.height - height + 1))
    cut = original.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
    noisy = np.asarray(cut, np.float32) + random.normal(0, 2, (size[1], size[0], 3))
    return encode_png(np.clip(noisy + 0.5, 0, 255).astype(np.uint8))


def write_dataset(folder: Path, numbers: Iterable[int], size: tuple[int, int]) -> None:
    """Packaged shards of the photographs with these numbers (0 or more).

    There are few different pictures, but no two files with the same hash: a number behind the end of a PNG changes no pixel.
    """

    def rows() -> Iterator[dict]:
        for number in numbers:
            data = photograph(number % DIFFERENT, size) + number.to_bytes(8)
            about = {"image_id": f"{number:08d}", "group": f"{number:08d}", "split": "train", "sha256": sha256(data)}
            yield {**about, "image": {"bytes": data, "path": f"{number:08d}.png"}}

    write_shards(folder, PREFIX, rows(), SCHEMA, 2000)


def write_clip(folder: Path, name: str) -> None:
    """A model folder that records a CLIP of this shape; only its text tower, which reads nothing here, is small.

    The weights lie in `folder/weights`, as transformers saves them.
    """
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    from pipeline.models.clip import EMBEDDING, HEAD, LAYERS, PATCH, WIDTH
    from pipeline.training.tokenizers import clip_tokenizer
    from pipeline.weights import record_weights

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(["a photo"], 48)
    small = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": WIDTH // HEAD}
    large = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    towers = {EMBEDDED: (small, PATCH, 64, EMBEDDING), LARGE: (large, 14, 336, 768)}
    shape, patch, side, embedding = towers[name]
    tokens = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = {**small, **tokens, "vocab_size": len(tokenizer), "max_position_embeddings": 48}
    config = CLIPConfig(text_config=text, vision_config={**shape, "patch_size": patch, "image_size": side}, projection_dim=embedding)
    CLIPModel(config).save_pretrained(folder / WEIGHTS)
    seen = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    CLIPProcessor(seen, tokenizer).save_pretrained(folder / WEIGHTS)
    place = {"id": None, "folder": str(folder / WEIGHTS), "revision": None, "variant": None}
    record_weights(folder, "clip", SimpleNamespace(**place, licence="none", gated=False, released=None))
