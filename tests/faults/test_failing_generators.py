"""Generators that return black, NaN, wrong-sized, no or too few images, or run out of memory: set aside, counted, the rest unharmed."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from pipeline import counterparts as counterparts_module
from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.generators import Request
from pipeline.images import encode_png, sha256
from pipeline.records import read_rows, write_table
from stages import generate
from tests.conftest import textured
from tests.faults.killing import digests

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("little_garbage")]
BATCH = 8
IDS = [f"p-{i}" for i in range(20)]


class Fake:
    """A generator of its photographs turned upside down; `faults` {image_id: what happens to it}, and memory for `fits` images."""

    def __init__(self, faults: dict[str, str], fits: int = BATCH, error: type[Exception] | Exception = MemoryError):
        self.faults, self.fits, self.error = faults, fits, error
        self.announced: list[list[str]] = []
        self.batches: list[list[str]] = []

    def prepare(self, batches: list[list[Request]]) -> None:
        self.announced = [[request.image_id for request in batch] for batch in batches]

    def counterparts(self, requests: list[Request]) -> list:
        ids = [request.image_id for request in requests]
        assert ids in self.announced, "text encoders would have to be loaded again"
        self.batches.append(ids)
        if len(ids) > self.fits or any(self.faults.get(i) == "too large" for i in ids):
            raise self.error
        images = [self._draw(request) for request in requests]
        return images[1:] if "too few" in self.faults.values() else [*images, None] if "too many" in self.faults.values() else images

    def _draw(self, request: Request):
        image = request.photograph[::-1]
        return {
            "black": np.zeros_like(image),
            "NaN": np.where(np.arange(64)[:, None, None] == 5, np.nan, image / 255),
            "wrong size": np.asarray(textured(77, 96, 80)),
            "wrong shape": image[..., 0],
            "wrong type": image / 255,
            "empty": image[:0],
            "none": None,
        }.get(self.faults.get(request.image_id), image)

    def reconstructions(self, requests: list[Request]) -> list | None:
        if "blank reconstruction" not in self.faults.values():
            return None
        blank = [self.faults.get(request.image_id) == "blank reconstruction" for request in requests]
        return [np.zeros_like(r.photograph) if bad else r.photograph for r, bad in zip(requests, blank, strict=True)]

    def truncated(self, prompts: list[str]) -> dict[str, int]:
        return {}


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """`stage(generator)` runs generate@fake in a folder of its own; returns (rows by id, reasons by id, metrics)."""
    monkeypatch.chdir(tmp_path)
    photographs = []
    for seed, image_id in enumerate(IDS):
        data = encode_png(textured(seed, 64, 64))
        about = {"image_id": image_id, "group": image_id, "split": "train", "sha256": sha256(data), "width": 64, "height": 64}
        photographs.append({**about, "image": {"bytes": data, "path": f"{image_id}.png"}})
    write_table("data/photographs/photographs-00000.parquet", pa.Table.from_pylist(photographs))
    write_table("data/captions/captions-00000.parquet", pa.Table.from_pylist([{"image_id": i, "prompt": f"A photo of {i}"} for i in IDS]))
    Path("data/models/fake").mkdir(parents=True)
    Path("data/models/fake/model.json").write_text("{}")
    settings = SimpleNamespace(model_dump=lambda exclude: {})
    entry = SimpleNamespace(kind="fake", mode="image-to-image", batch_size=BATCH, settings=settings)
    params = SimpleNamespace(generators={"fake": entry}, seed=1, work=".work", dataset=SimpleNamespace(rows_per_shard=7))
    monkeypatch.setattr(generate, "require_ready", lambda *arguments: None)

    def run(generator):
        kind = SimpleNamespace(VERSION=1, load=(lambda *arguments: generator) if isinstance(generator, Fake) else generator)
        monkeypatch.setattr(counterparts_module, "kind_module", lambda *arguments: kind)
        generate.main(params, "fake")
        rows = {row["image_id"]: row for row in read_rows("data/generated/fake", "counterparts")}
        reasons = {item["image_id"]: item["reason"] for item in read_json("data/generated/fake/dropped.json")}
        assert set(rows) | set(reasons) == set(IDS) and not set(rows) & set(reasons)
        return rows, reasons, read_json("metrics/generated/fake.json")

    return run


def test_what_is_no_counterpart_is_set_aside_with_its_reason_and_the_rest_is_unharmed(stage):
    undisturbed, none, metrics = stage(Fake({}))
    assert not none and metrics == {"counterparts": 20, "dropped": 0, "resampled": 0, "made_in_smaller_batches": 0, "prompts_cut": {}}
    Path(".work").rename("elsewhere")
    kinds = ["black", "NaN", "wrong shape", "wrong type", "empty", "none", "blank reconstruction"]
    faults = dict(zip(IDS, [*kinds, "wrong size"], strict=False))
    rows, reasons, metrics = stage(Fake(faults))
    assert {faults[i]: reason for i, reason in reasons.items()} == {
        "black": "blank: the whole image is one colour",
        "NaN": "NaN: it holds values that are not finite",
        "wrong shape": "values of type uint8 and shape (64, 64), not 8-bit RGB",
        "wrong type": "values of type float64 and shape (64, 64, 3), not 8-bit RGB",
        "empty": "values of type uint8 and shape (0, 64, 3), not 8-bit RGB",
        "none": "there is no image",
        "blank reconstruction": "its reconstruction: blank: the whole image is one colour",
    }
    assert (metrics["counterparts"], metrics["dropped"], metrics["resampled"]) == (13, 7, 1)
    resampled = rows[IDS[7]]
    assert (resampled["made_width"], resampled["made_height"], resampled["width"]) == (96, 80, 64)
    for image_id in set(rows) - {IDS[7]}:
        same = ("image", "sha256", "seed", "batch", "made_width")
        assert {k: rows[image_id][k] for k in same} == {k: undisturbed[image_id][k] for k in same}


@pytest.mark.parametrize("fault", ["too few", "too many"])
def test_another_number_of_images_than_asked_for_is_an_error_that_names_the_generator(fault, stage):
    with pytest.raises(UserError, match=r"generators\.fake: it returned \d images for \d photographs; look at its settings"):
        stage(Fake({IDS[0]: fault}))
    assert digests(Path(".work")) == {} and not Path("data/generated/fake").exists() and not list(Path("data/generated").iterdir())


def out_of_memory_errors() -> list:
    import torch

    allocator = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes."
    return [torch.OutOfMemoryError("HIP"), torch.cuda.OutOfMemoryError("CUDA out of memory."), RuntimeError(allocator), MemoryError()]


@pytest.mark.parametrize("error", range(4))
def test_a_batch_that_does_not_fit_is_halved_as_often_as_needed(error, stage, caplog):
    whole, _, _ = stage(Fake({}))
    Path(".work").rename("elsewhere")
    generator = Fake({}, fits=2, error=out_of_memory_errors()[error])
    rows, reasons, metrics = stage(generator)
    assert not reasons and {i: row["sha256"] for i, row in rows.items()} == {i: row["sha256"] for i, row in whole.items()}
    sizes = [len(batch) for batch in generator.batches]
    cells = {row["batch"] for row in whole.values()}
    assert max(cells) <= BATCH and max(sizes) == max(cells), "the whole batch is always tried first"
    assert {row["batch"] for row in rows.values()} <= {1, 2}
    smaller = sum(rows[i]["batch"] < whole[i]["batch"] for i in IDS)
    assert metrics["made_in_smaller_batches"] == smaller > 10
    assert "fake: 3 images at once do not fit" in caplog.text or "fake: 4 images at once do not fit" in caplog.text
    generator.batches.clear()
    again, _, metrics = stage(generator)
    assert again == rows and not generator.batches, "what was made in halves is kept"
    assert metrics["made_in_smaller_batches"] == smaller


def test_what_does_not_fit_alone_is_set_aside_and_tried_again_by_the_next_run(stage, capsys):
    undisturbed, _, _ = stage(Fake({}))
    Path(".work").rename("elsewhere")
    rows, reasons, metrics = stage(Fake({"p-3": "too large", "p-11": "too large"}))
    assert reasons == {"p-3": "out of memory", "p-11": "out of memory"} and metrics["dropped"] == 2
    assert "2 did not fit in memory; dvc repro --force generate@fake tries them again" in capsys.readouterr().out
    assert all(rows[i]["sha256"] == undisturbed[i]["sha256"] for i in rows)
    larger = Fake({})
    rows, reasons, metrics = stage(larger)
    assert not reasons and metrics["made_in_smaller_batches"] == 0 and rows == undisturbed
    made = {i for batch in larger.batches for i in batch}
    assert {"p-3", "p-11"} <= made < set(IDS), "the batches of those two are made anew, whole; the others were kept"


def test_where_most_do_not_fit_the_stage_fails_with_the_reason(stage, monkeypatch):
    monkeypatch.setattr("pipeline.memory.free", lambda: None)  # forty times a tenth of a second
    with pytest.raises(UserError, match=r"generators\.fake: 20 of 20 counterparts are unusable \(first: p-\d+, out of memory\)"):
        stage(Fake({}, fits=0))
    assert not Path("data/generated/fake").exists()


def test_other_errors_are_not_taken_for_memory(stage):
    generator = Fake({}, fits=2, error=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        stage(generator)
    assert len(generator.batches) <= 2


def test_a_model_that_does_not_fit_is_one_sentence(stage):
    def load(*arguments):
        raise MemoryError

    with pytest.raises(UserError, match=r"generators\.fake: its model does not fit in memory; .*settings\.offload"):
        stage(load)
