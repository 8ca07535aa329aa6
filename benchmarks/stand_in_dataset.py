"""A project whose photographs, counterparts and features are stand-ins: everything after making images can run on it.

Images are real PNGs of 64 pixels, mixed of crops of the packaged photographs, no two alike; a counterpart is its photograph
with another grain. Features have the shapes of the default profile's CLIP, whose weights are random, and a planted difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).parents[1]
SIDE, SEED = 64, 2026
SPLITS = ("train", "train", "train", "validation", "test")
PROMPT = "A photo of stand-in {} in {} light"
LIGHTS = ("warm", "cold", "soft", "harsh", "evening")


def parameters(generators: int) -> dict:
    """The default profile with the dataset's own splits, plain images only, and generators that import what lies ready."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    entry = {"kind": "imported", "family": "gan", "mode": "import", "licence": "CC0-1.0", "batch_size": 32}
    entry["model"] = {"kind": "images", "folder": "."}
    params |= {"root": str(ROOT), "benchmarks": {}, "generators": {f"g{number}": entry for number in range(generators)}}
    params["photographs"] |= {"kind": "folder", "source": ".", "crops": None}
    params["views"] = {"augmented": 0, "altered": {}}
    params["detectors"]["folds"] = None
    return params


def make(folder: Path, photographs: int, generators: int) -> None:
    """Write the project: what the stages `photographs`, `caption`, `models@clip` and `generate` leave behind."""
    folder.mkdir(parents=True)
    params = parameters(generators)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    _clip(folder / "data/models/clip")
    with get_context("fork").Pool(2) as pool:
        list(pool.imap_unordered(partial(_source, folder, photographs), [None, *params["generators"]]))


def row_id(number: int) -> str:
    return f"stand-in-{number:07d}"


def pixels(number: int, generator: str | None, crops: list[np.ndarray]) -> np.ndarray:
    """uint8, SIDE x SIDE x 3: of photograph `number`, or of its counterpart."""
    random = np.random.default_rng(number)
    mixed = np.zeros((SIDE, SIDE, 3))
    for share in (0.55, 0.45):
        whole = crops[random.integers(len(crops))]
        top, left = random.integers(0, whole.shape[0] - SIDE), random.integers(0, whole.shape[1] - SIDE)
        mixed += share * whole[top : top + SIDE, left : left + SIDE]
    mixed += random.integers(-32, 33, (SIDE // 4, SIDE // 4, 1)).repeat(4, 0).repeat(4, 1)  # or some would be near-duplicates
    if generator is not None:
        mixed += np.random.default_rng([number, *generator.encode()]).integers(-2, 3, mixed.shape)
    return mixed.clip(0, 255).astype(np.uint8)


def _originals() -> list[np.ndarray]:
    from pipeline.photographs.originals import find_originals, read_originals

    found = read_originals(find_originals("catalogue", ROOT / "pipeline/photographs/packaged.csv")[:6])
    return [np.asarray(image.crop((0, 0, *(min(side, 600) for side in image.size)))) for _, image, _ in found if image is not None]


def _source(folder: Path, photographs: int, generator: str | None) -> None:
    from pipeline.counterparts import COUNTERPART
    from pipeline.files import write_json
    from pipeline.photographs.build import PHOTOGRAPH, PHOTOGRAPHS_PER_SHARD
    from pipeline.records import write_shards, write_table

    crops = _originals()
    rows = (_row(number, generator, crops) for number in range(photographs))
    if generator is None:
        import pyarrow as pa

        write_shards(folder / "data/photographs", "photographs", rows, PHOTOGRAPH, PHOTOGRAPHS_PER_SHARD)
        texts = {"image_id": map(row_id, range(photographs)), "prompt": map(_prompt, range(photographs))}
        write_table(folder / "data/captions/captions-00000.parquet", pa.table({name: list(found) for name, found in texts.items()}))
        return
    place = folder / "data/generated" / generator
    write_shards(place, "counterparts", rows, COUNTERPART, 2000)
    write_json(place / "dropped.json", [])
    write_json(folder / f"metrics/generated/{generator}.json", {"prompts_cut": {}})


def _prompt(number: int) -> str:
    return PROMPT.format(number % 997, LIGHTS[number % len(LIGHTS)])


def _row(number: int, generator: str | None, crops: list[np.ndarray]) -> dict:
    from pipeline.dataset import pixels_sha256
    from pipeline.images import encode_png, sha256

    shown = pixels(number, generator, crops)
    data = encode_png(shown)
    size = {"width": SIDE, "height": SIDE}
    row = {"image_id": row_id(number), "group": row_id(number), "split": SPLITS[number % len(SPLITS)], **size}
    row |= {"image": {"bytes": data, "path": f"{row_id(number)}.png"}, "sha256": sha256(data), "pixels_sha256": pixels_sha256(shown)}
    if generator is None:
        texts = {
            "subject": "a scene",
            "licence": "CC0-1.0",
            "origin": "stand-in",
            "history": "none",
            "fit": "none",
            "original_format": "PNG",
        }
        return row | texts | {"box": [0, 0, SIDE, SIDE], "original_width": SIDE, "original_height": SIDE}
    made = {"prompt": _prompt(number), "seed": number, "model": "stand-in", "revision": "0", "batch": 1, "problem": None}
    return row | made | {"made_width": SIDE, "made_height": SIDE, "reconstruction": None}


def _clip(folder: Path) -> None:
    """The default profile's CLIP with random weights, said to know every concept."""
    import torch

    from pipeline.files import write_json
    from pipeline.models.clip import CONTEXT, _build
    from pipeline.training.attributes import NAMES, antonym_prompts, corpus
    from pipeline.training.clip_formats import save_both_formats
    from pipeline.training.edits import DEVIATION, MEAN
    from pipeline.training.tokenizers import clip_tokenizer

    folder.mkdir(parents=True)
    torch.manual_seed(SEED)
    tokenizer = clip_tokenizer(corpus(["a scene"]), CONTEXT)
    save_both_formats(_build(tokenizer, SIDE), tokenizer, folder, mean=MEAN, deviation=DEVIATION)
    prompts = antonym_prompts()
    concepts = [{"name": name, "low": prompts[2 * k], "high": prompts[2 * k + 1], "accuracy": 1.0} for k, name in enumerate(NAMES)]
    write_json(folder / "concepts.json", concepts)
    write_json(folder / "training.json", {"kind": "clip", "seen_groups": []})


def write_features(name: str, generators: list[str]) -> None:
    """data/features/<name> of a packaged source of the project in the working folder, as `stages.features` would have it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from detector.captions import CAPTIONS, prompt_sha256
    from detector.clip import clip_record
    from detector.features import IMAGES, RANDOM, WHAT, features_schema
    from pipeline.dataset import PHOTOGRAPHS
    from pipeline.files import replacing_folder
    from pipeline.records import WRITING

    clip = Path("data/models/clip")
    trained, untaught = clip_record(clip), clip_record(clip, random_weights=SEED)
    with replacing_folder(Path("data/features") / name) as folder:
        for what in WHAT:
            schema = features_schema(untaught if what == RANDOM else trained, range(3) if what == IMAGES else ())
            with pq.ParquetWriter(folder / f"{what}.parquet", schema, **WRITING) as file:
                for rows in _packaged(name) if what in (IMAGES, RANDOM) else ():
                    file.write_table(_features(rows, name, generators, schema))
        if name == PHOTOGRAPHS:
            columns = [("image_id", pa.string()), ("sha256", pa.string()), ("projected", pa.list_(pa.float32(), 96))]
            schema = pa.schema(columns, features_schema(trained).metadata)
            with pq.ParquetWriter(folder / CAPTIONS, schema, **WRITING) as file:
                for rows in _packaged(name):
                    vectors = _vectors(rows, None, 0)
                    texts = {"image_id": [row["image_id"] for row in rows], "sha256": [prompt_sha256(row["prompt"]) for row in rows]}
                    file.write_table(pa.table({**texts, "projected": _lists(vectors)}, schema=schema))


def _packaged(name: str) -> Iterator[list[dict]]:
    from pipeline.records import read_parts, shard_paths

    for split in ("train", "validation", "test"):
        for path in shard_paths(Path("data/dataset") / name, split):
            for part in read_parts(path, ["image_id", "group", "split", "source", "label", "sha256", "prompt"], 128):
                yield part.to_pylist()


def _features(rows: list[dict], name: str, generators: list[str], schema):
    import pyarrow as pa

    texts = {key: [row[key] for row in rows] for key in ("image_id", "group", "split", "sha256", "label")}
    texts |= {"source": [name] * len(rows), "role": ["image"] * len(rows), "view": [""] * len(rows)}
    shift = 1 + generators.index(name) if name in generators else None
    points = [field.name for field in schema if field.name not in texts]
    return pa.table({**texts, **{point: _lists(_vectors(rows, shift, n)) for n, point in enumerate(points)}}, schema=schema)


def _vectors(rows: list[dict], shift: int | None, point: int) -> np.ndarray:
    """float32, N x 96: the content that a pair shares, noise, and a direction of the generator's own."""
    from pipeline.seeds import seed_of

    found = np.stack([np.random.default_rng(seed_of(row["image_id"], point)).normal(size=96) for row in rows])
    found += 0.3 * np.random.default_rng(seed_of(rows[0]["image_id"], shift or 0, point)).normal(size=found.shape)
    if shift is not None:
        found += 0.15 * np.random.default_rng(shift).normal(size=96)
    return found.astype(np.float32)


def _lists(vectors: np.ndarray):
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
