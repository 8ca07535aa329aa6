"""Keys of finished work: whatever changes a result is in them, and what does not is not. No model is loaded for a key."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import yaml

from pipeline import counterparts, generators
from pipeline.images import encode_png, sha256
from pipeline.params import load_params
from pipeline.records import IMAGE, write_table
from pipeline.registry import kind_module
from tests.conftest import textured
from tests.project import ROOT

DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text())
NAME = "latent-unet"
IDS = [f"photo-{number}" for number in range(6)]


class World:
    """Photographs, captions and a model in a folder, with parameters of the default profile; `change` edits any of it."""

    def __init__(self, folder: Path):
        self.folder, self.params, self.version, self.device = folder, copy.deepcopy(DEFAULT), "1.0", "cpu"
        self.photographs = {image_id: textured(number, 32, 32) for number, image_id in enumerate(IDS)}
        self.groups, self.prompts = dict.fromkeys(IDS, "g"), {image_id: f"A photo of {image_id}" for image_id in IDS}
        self.splits, self.weights, self.order, self.captioner = dict.fromkeys(IDS, "train"), b"weights", IDS, b"captioner"
        self.files = ["w.bin"]

    def written(self):
        self.folder.mkdir(parents=True)
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params))
        for name, weights in (("clip", self.weights), ("captioner", self.captioner), (NAME, self.weights)):
            model = self.folder / "data/models" / name
            model.mkdir(parents=True)
            for file in self.files:
                (model / file).write_bytes(weights)
        rows = []
        for image_id in self.order:
            data = encode_png(np.asarray(self.photographs[image_id]))
            height, width = np.asarray(self.photographs[image_id]).shape[:2]
            row = {"image_id": image_id, "group": self.groups[image_id], "split": self.splits[image_id], "width": width, "height": height}
            rows.append({**row, "sha256": sha256(data), "image": {"bytes": data, "path": f"{image_id}.png"}})
        table = pa.Table.from_pylist(rows)
        table = table.set_column(table.schema.get_field_index("image"), "image", pa.array([row["image"] for row in rows], IMAGE))
        write_table(self.folder / "data/photographs/photographs-00000.parquet", table)
        captions = pa.Table.from_pylist([{"image_id": i, "prompt": self.prompts[i]} for i in self.order])
        write_table(self.folder / "data/captions/captions-00000.parquet", captions)
        return load_params(self.folder / "params.yaml")


def patched(monkeypatch, module, world: World) -> None:
    monkeypatch.setattr(module, "device_name", lambda: world.device)
    monkeypatch.setattr(module, "versions", lambda *names: dict.fromkeys(names, world.version))


def of_counterparts(world: World, monkeypatch) -> set[str]:
    params, data = world.written(), world.folder / "data"
    patched(monkeypatch, counterparts, world)
    made = counterparts.Counterparts(NAME, params, data / "photographs", data / "captions", data / "models" / NAME)
    return set(made.batches().keys)


def of_captions(world: World, monkeypatch) -> set[str]:
    from stages import caption

    params = world.written()
    monkeypatch.chdir(world.folder)
    patched(monkeypatch, caption, world)
    photographs = {row["image_id"]: row["sha256"] for row in caption.read_rows("data/photographs", "photographs", ["image_id", "sha256"])}
    return set(caption.batches(params, photographs, Path("data/models/captioner")).keys)


def of_features(world: World, monkeypatch) -> set[str]:
    from detector import extraction
    from detector.features import IMAGE, feature_rows
    from detector.views import plan
    from pipeline.weights import identity

    params = world.written()
    patched(monkeypatch, extraction, world)
    monkeypatch.setattr(extraction, "clip_format", lambda folder: "transformers")
    record = {"revision": identity(world.folder / "data/models/clip")[1], "widths": {"pooled": 3, "projected": 2}}
    monkeypatch.setattr(extraction, "clip_record", lambda folder: record)
    about = [{"image_id": i, "sha256": sha256(encode_png(np.asarray(world.photographs[i])))} for i in world.order]
    chunk = extraction.Chunk(extraction.Images(feature_rows(about, IMAGE, 0, ""), tuple(extraction.WHAT), None), 0, len(about))
    planned, store = plan(params.views, params.seed, params.clip.blocks or ()), SimpleNamespace(folder=world.folder)
    settings = (params.clip.dtype, params.clip.batch_size, planned, store)
    rows = extraction.Rows(world.folder / "data/models/clip", *settings, [chunk], None)
    return {f"{rows.stores[view.eye].folder.name} {key}" for view, keys in rows.keys(chunk) for key in keys.tolist()}


def put(value, *place):
    def change(world: World) -> None:
        block = world.params
        for key in place[:-1]:
            block = block[key]
        assert block.get(place[-1]) != value
        block[place[-1]] = value

    return change


def attribute(name, value):
    return lambda world: setattr(world, name, value)


def item(name, value):
    return lambda world: getattr(world, name).__setitem__(IDS[0], value)


GENERATOR = ("generators", NAME)
MATTERS = [
    (of_counterparts, "base seed", put(1, "seed")),
    (of_counterparts, "batch size", put(2, *GENERATOR, "batch_size")),
    (of_counterparts, "strength", put(0.5, *GENERATOR, "settings", "strength")),
    (of_counterparts, "steps", put(30, *GENERATOR, "settings", "num_inference_steps")),
    (of_counterparts, "precision", put("bfloat16", *GENERATOR, "settings", "dtype")),
    (of_counterparts, "photograph", item("photographs", textured(99, 32, 32))),
    (of_counterparts, "size", item("photographs", textured(0, 64, 32))),
    (of_counterparts, "prompt", item("prompts", "Another photo")),
    (of_counterparts, "group", item("groups", "other")),
    (of_captions, "instruction", put("Describe", "captions", "prompt")),
    (of_captions, "length", put(7, "captions", "max_new_tokens")),
    (of_captions, "batch size", put(2, "captions", "batch_size")),
    (of_captions, "precision", put("bfloat16", "captions", "dtype")),
    (of_captions, "decoding", put({"num_beams": 2}, "captions", "decoding")),
    (of_captions, "photograph", item("photographs", textured(99, 32, 32))),
    (of_captions, "model", attribute("captioner", b"others")),
    (of_features, "seed of views", put(1, "seed")),
    (of_features, "batch size", put(2, "clip", "batch_size")),
    (of_features, "precision", put("bfloat16", "clip", "dtype")),
    (of_features, "transformer blocks", put([0, 2], "clip", "blocks")),
    (of_features, "photograph", item("photographs", textured(99, 32, 32))),
    (of_features, "strength of an alteration", put([33], "views", "altered", "jpeg")),
    *[(of, "model", attribute("weights", b"others")) for of in (of_counterparts, of_features)],
    *[(of, "device", attribute("device", "a GPU")) for of in (of_counterparts, of_captions, of_features)],
    *[(of, "libraries", attribute("version", "2.0")) for of in (of_counterparts, of_captions, of_features)],
]
ALL = (of_counterparts, of_captions, of_features)


def others(world: World) -> None:
    world.params["generators"] = {NAME: world.params["generators"][NAME]}
    world.params["benchmarks"] = {}


NEUTRAL = [
    *[(of, "launch", put("torchrun --nproc_per_node 2", "launch")) for of in ALL],
    *[(of, "work store", put("/elsewhere", "work")) for of in ALL],
    *[(of, "code", put("/elsewhere", "root")) for of in ALL],
    *[(of, "dataset", put("other", "dataset", "name")) for of in ALL],
    *[(of, "photographs' name", put("other", "photographs", "name")) for of in ALL],
    *[(of, "other generators and benchmarks", others) for of in ALL],
    *[(of, "order", attribute("order", IDS[::-1])) for of in ALL],
    *[(of, "splits", attribute("splits", dict.fromkeys(IDS, "test"))) for of in ALL],
    *[(of, "bootstrap", put(500, "evaluation", "bootstrap")) for of in ALL],
    (of_counterparts, "licence", put("MIT", *GENERATOR, "licence")),
    (of_counterparts, "family", put("flow", *GENERATOR, "family")),
    (of_counterparts, "date", put("2024-01-01", *GENERATOR, "released")),
    (of_captions, "captions' folder", put("./data/models/captioner", "captions", "source")),
    (of_features, "least accuracy of concepts", put(0.1, "clip", "recognised")),
    (of_features, "prompts", item("prompts", "Another photo")),
]


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> dict:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return {of: of(World(tmp_path_factory.mktemp("before") / "x"), monkeypatch) for of in ALL}


def names(cases: list) -> list[str]:
    return [f"{of.__name__.removeprefix('of_')}: {name}" for of, name, _ in cases]


@pytest.mark.parametrize(("of", "name", "change"), MATTERS, ids=names(MATTERS))
def test_what_changes_a_result_changes_a_key(before, tmp_path, monkeypatch, of, name, change):
    world = World(tmp_path / "x")
    change(world)
    assert of(world, monkeypatch) - before[of]


@pytest.mark.parametrize(("of", "name", "change"), NEUTRAL, ids=names(NEUTRAL))
def test_what_changes_no_result_changes_no_key(before, tmp_path, monkeypatch, of, name, change):
    world = World(tmp_path / "another place")
    change(world)
    assert of(world, monkeypatch) == before[of]


KEYED = {
    "counterparts": {"torch", "diffusers", "transformers", "tokenizers", "accelerate", "safetensors", "numpy", "pillow"},
    "captions": {"torch", "torchvision", "transformers", "tokenizers", "safetensors", "numpy", "pillow"},
    "features": {"torch", "safetensors", "numpy", "pillow"},
}


def test_the_libraries_in_a_key_are_those_that_compute_it():
    from pipeline import captioning, clip_weights

    features = clip_weights.LIBRARIES
    assert set(counterparts.LIBRARIES) == KEYED["counterparts"] and set(captioning.LIBRARIES) == KEYED["captions"]
    assert set(features["open_clip"]) == KEYED["features"] | {"open_clip_torch", "torchvision"}
    assert set(features["transformers"]) == KEYED["features"] | {"transformers"}
    assert set(clip_weights.TEXT_LIBRARIES) == {"open_clip_torch", "transformers", "tokenizers"}


def test_every_neutral_setting_of_a_kind_is_left_out_and_every_other_is_not(tmp_path, monkeypatch):
    kind = kind_module(generators, "diffusers")
    settings = set(kind.Settings.model_fields)
    assert set(kind.NEUTRAL) < settings
    monkeypatch.setattr(counterparts, "Batches", lambda **arguments: SimpleNamespace(recipe=arguments["recipe"]))
    params, data = World(tmp_path / "x").written(), tmp_path / "x/data"
    made = counterparts.Counterparts(NAME, params, data / "photographs", data / "captions", data / "models" / NAME)
    recipe = made.batches().recipe
    assert set(recipe["settings"]) == settings - set(kind.NEUTRAL)
    assert (recipe["kind"], recipe["version"], recipe["mode"]) == ("diffusers", kind.VERSION, "image-to-image")
    assert str(tmp_path) not in json.dumps(recipe)
