"""A packaged dataset made by hand, sound unless a test damages it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from pipeline.dataset import PHOTOGRAPHS, counterpart_rows, photograph_rows, write_source
from pipeline.images import encode_png, sha256
from tests.conftest import textured

SPLIT_OF = {"a": "train", "b": "train", "c": "validation", "d": "test"}


class Settings:
    def model_dump(self) -> dict:
        return {"strength": 0.5}


ENTRY = SimpleNamespace(family="diffusion", mode="image-to-image", licence="CC0-1.0", settings=Settings())


def row(group: str, number: int, seed: int) -> dict:
    data = encode_png(np.asarray(textured(seed, 64, 64)))
    return {
        "image_id": f"{group}-{number}",
        "group": group,
        "split": SPLIT_OF[group],
        "image": {"bytes": data, "path": f"{group}-{number}.png"},
        "width": 64,
        "height": 64,
        "sha256": sha256(data),
        "made_width": 64,
        "made_height": 64,
        "prompt": "A photo of something",
        "seed": seed,
        "model": "m",
        "revision": "r",
        "licence": "CC0-1.0",
        "origin": "test",
        "history": "PNG",
        "fit": "shorter side 64",
    }


def rows(first_seed: int) -> list[dict]:
    return [row(group, number, first_seed + 10 * i + number) for i, group in enumerate(SPLIT_OF) for number in range(2)]


def write_dataset(folder: Path, generators: list[str], damage=lambda name, rows: rows) -> list[dict]:
    """Write photographs and generators; `damage(name, rows)` may change a source's packaged rows. Returns the manifests."""
    prompts = {f"{group}-{n}": "A photo of something" for group in SPLIT_OF for n in range(2)}
    manifests = []
    for number, name in enumerate([PHOTOGRAPHS, *generators]):
        raw = rows(1000 * (number + 1))
        if name == PHOTOGRAPHS:
            packaged = photograph_rows(raw, prompts, "packaged", "test-set")
        else:
            packaged = counterpart_rows(raw, name, ENTRY, "shorter side 64", "test-set")
        splits = write_source(folder / name, damage(name, list(packaged)), 3)
        manifests.append(
            {
                "folder": name,
                "source": "packaged" if name == PHOTOGRAPHS else name,
                "family": None if name == PHOTOGRAPHS else "diffusion",
                "mode": None if name == PHOTOGRAPHS else "image-to-image",
                "licence": "CC0-1.0",
                "dropped": 0,
                "resampled": 0,
                "splits": splits,
                "groups": len(SPLIT_OF),
            }
        )
    return manifests


def write_with_card(folder, generators):
    """`write_dataset`, complete with the card that makes it one dataset."""
    from pipeline.dataset import card

    (folder / "README.md").write_text(card("test-set", write_dataset(folder, generators)))
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
