"""The audit's stages on a tiny dataset: cues and measurements are kept, benchmarks never fail, breaches stop the pipeline by name."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from detector.captions import prompt_sha256
from detector.features import IMAGE, RECONSTRUCTION, WHAT, features_schema
from detector.probes.belonging import CAPTIONS_BELONG, FEATURES_BELONG, FINITE
from pipeline.counterparts import COUNTERPART
from pipeline.errors import UserError
from pipeline.files import read_json, write_json
from pipeline.images import encode_png, sha256
from pipeline.photographs.splits import SPLITS
from pipeline.records import read_rows, write_shards
from stages import audit as stage
from stages.benchmark import BENCHMARK
from tests.conftest import textured
from tests.pipeline.packaged import write_dataset

CLIP = {"id": "c", "revision": "r", "preprocessing": {}, "widths": {"pooled": 3, "projected": 4}}
PARAMS = SimpleNamespace(
    seed=1, evaluation=SimpleNamespace(bootstrap=100), generators={"made": None}, benchmarks={"theirs": None, "alike": None}
)
HEADERS = stage.ONLY_THE_PICTURE


def vector(*parts: str, width: int) -> list[float]:
    return np.random.default_rng([ord(letter) for letter in "".join(parts)]).normal(size=width).tolist()


def write_features(name: str, rows: list[dict]) -> None:
    """Features of the packaged rows under data/dataset/<name> (each photograph's counterpart close to it), and of `rows`."""
    packaged = [row | {"role": IMAGE} for split in SPLITS for row in read_rows(f"data/dataset/{name}", split)]
    for what in WHAT:
        found = [
            {
                **{key: row[key] for key in ("image_id", "group", "split", "role", "sha256")},
                "source": name,
                "view": "",
                "label": int(name != "photographs"),
                "pooled": vector(row["image_id"], width=3),
                "projected": [a + 0.1 * b for a, b in zip(vector(row["image_id"], width=4), vector(name, width=4), strict=True)],
            }
            for row in (packaged + rows if what != "altered" else [])
        ]
        path = Path(f"data/features/{name}/{what}.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(found, schema=features_schema(CLIP)), path)


def write_captions(prompts: dict[str, str]) -> None:
    schema = pa.schema(
        [("image_id", pa.string()), ("sha256", pa.string()), ("projected", pa.list_(pa.float32(), 4))],
        metadata=features_schema(CLIP).metadata,
    )
    rows = [{"image_id": i, "sha256": prompt_sha256(prompt), "projected": vector(i, width=4)} for i, prompt in prompts.items()]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), "data/features/photographs/captions.parquet")


def generated(name: str, dropped: list[dict]) -> list[dict]:
    """What the generate stage leaves beside the counterparts; returns the reconstructions' rows for `write_features`."""
    rows = [row for split in SPLITS for row in read_rows(f"data/dataset/{name}", split)]
    decoded = {row["image_id"]: encode_png(textured(number + 900, 64, 64)) for number, row in enumerate(rows)}
    folder = Path("data/generated") / name
    folder.mkdir(parents=True)
    made = [row | {"reconstruction": {"bytes": decoded[row["image_id"]], "path": None}} for row in rows]
    write_shards(folder, "counterparts", [{key: row.get(key) for key in COUNTERPART.names} for row in made], COUNTERPART, 100)
    write_json(folder / "dropped.json", dropped)
    write_json(f"metrics/generated/{name}.json", {"prompts_cut": {"tokenizer": 3}})
    return [row | {"role": RECONSTRUCTION, "sha256": sha256(decoded[row["image_id"]])} for row in rows]


def benchmark(name: str, jpeg: bool) -> None:
    folder = Path("data/benchmarks") / name
    folder.mkdir(parents=True)
    rows = []
    for number in range(12):
        for label in (0, 1):
            data, form = io.BytesIO(), "JPEG" if jpeg and label == 0 else "PNG"
            textured(number + 50 * label, 40, 40).save(data, form)
            row = {"image_id": str(number), "group": str(number), "split": "test", "label": label, "source": "s", "licence": "CC0-1.0"}
            rows.append(row | {"image": {"bytes": data.getvalue(), "path": None}, "width": 40, "height": 40})
    write_shards(folder, "test", [row | {"sha256": sha256(row["image"]["bytes"])} for row in rows], BENCHMARK, 100)
    write_json(folder / "set-aside.json", [])


def project(folder: Path, monkeypatch, damage=lambda name, rows: rows, dropped=()) -> None:
    monkeypatch.chdir(folder)
    write_dataset(Path("data/dataset"), ["made"], damage)
    write_features("made", generated("made", list(dropped)))
    write_features("photographs", [])
    ids = [row["image_id"] for split in SPLITS for row in read_rows("data/dataset/photographs", split, ["image_id"])]
    write_captions(dict.fromkeys(ids, "A photo of something"))


def audited(*names: str) -> dict:
    for name in names:
        stage.main(PARAMS, name)
    return read_json(f"data/audit/{names[-1]}/audit.json")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A dataset without a fault but one counted drop and two resampled images, two benchmarks, audited and merged."""
    folder = tmp_path_factory.mktemp("sound")
    with pytest.MonkeyPatch.context() as patch:

        def lost(name, rows):
            kept = [row for row in rows if name != "made" or row["image_id"] != "d-1"]
            return [row | ({"made_width": 32} if name == "made" and row["group"] == "a" else {}) for row in kept]

        project(folder, patch, lost, [{"image_id": "d-1", "reason": "blank: the whole image is one value. Again."}])
        benchmark("theirs", jpeg=True)
        benchmark("alike", jpeg=False)
        audited("photographs", "made", "theirs", "alike")
        stage.main(PARAMS)
    return folder


def test_a_sound_dataset_is_measured_and_nothing_stops_it(sound):
    metrics = read_json(sound / "metrics/audit.json")
    made, photographs = metrics["made"], metrics["photographs"]
    assert (made["rows"], made["pairs"], made["dropped"], made["breaches"]) == (7, 7, 1, 0) and "broken" not in made
    assert made["reasons"] == {"blank_the_whole_image_is_one_value_again": 1} and made["resampled"] == 2
    assert made["prompts_cut"] == {"tokenizer": 3}
    assert made["probes"]["header"] == made["probes"]["caption"] == {"AUROC": 0.5, "AUROC_low": 0.5, "AUROC_high": 0.5}
    assert set(made["probes"]) == {"header", "bytes_per_pixel", "spectrum", "blockiness", "caption"}
    assert made["clip"]["similarity_to_others"] < 0.9 < made["clip"]["similarity"] and made["clip"]["agreement"] > 0.9
    assert 0 < made["clip"]["CMMD"] < photographs["clip"]["CMMD"], "counterparts show what their photographs show, halves do not"
    assert (photographs["rows"], photographs["dropped"], photographs["breaches"]) == (8, 0, 0)
    assert set(photographs["clip"]) == {f"{key}{side}" for key in ("CMMD", "agreement") for side in ("", "_low", "_high")}
    kept = read_json(sound / "data/audit/made/audit.json")
    assert kept["set_aside"] == [{"image_id": "d-1", "reason": "blank: the whole image is one value. Again."}]
    assert kept["sizes"] == {"32x64 in place of 64x64": 2} and kept["breaches"] == {}
    assert pq.read_metadata(sound / "data/audit/photographs/cues.parquet").num_rows == 8


def test_metrics_are_plain_numbers_under_keys_without_dots(sound):
    def walk(value, path=()):
        if isinstance(value, dict):
            for key, inner in value.items():
                assert "." not in key, path
                walk(inner, (*path, key))
        else:
            assert type(value) in (int, float), path

    walk(read_json(sound / "metrics/audit.json"))


def test_a_benchmark_that_leaks_is_measured_and_never_failed(sound):
    found = read_json(sound / "metrics/audit.json")["benchmarks"]
    assert found["theirs"]["formats"] == {"real": {"JPEG": 12}, "synthetic": {"PNG": 12}}
    assert found["theirs"]["images"] == {"real": 12, "synthetic": 12}
    assert found["theirs"]["probes"]["header"]["AUROC"] == 1.0 and found["alike"]["probes"]["header"]["AUROC"] == 0.5
    assert "caption" not in found["theirs"]["probes"], "a benchmark has none"


def test_a_generator_s_audit_decodes_no_photograph(sound, monkeypatch):
    monkeypatch.chdir(sound)
    seen = []
    monkeypatch.setattr(stage.CueCollector, "look", lambda self, row, header, pixels: seen.append(row["label"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "AUDIT", sound / "elsewhere")
        (sound / "elsewhere").mkdir()
        (sound / "elsewhere/photographs").symlink_to(sound / "data/audit/photographs")
        stage.main(PARAMS, "made")
    assert seen == [1] * 7


def test_stages_load_no_model(sound):
    """They run once a source: each second counts seven times. (This process may hold torch already for another test.)"""
    code = "import sys; import stages.audit; assert not {'torch', 'sklearn', 'diffusers', 'datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


def jpeg(row: dict) -> dict:
    data = io.BytesIO()
    Image.open(io.BytesIO(row["image"]["bytes"])).save(data, format="JPEG")
    return row | {"image": {**row["image"], "bytes": data.getvalue()}, "sha256": sha256(data.getvalue())}


def stale(name: str) -> None:
    """One image's features are those of another day."""
    path = f"data/features/{name}/images.parquet"
    table = pq.read_table(path)
    hashes = ["0" * 64 if i == "b-1" else found for i, found in zip(*(table[c].to_pylist() for c in ("image_id", "sha256")), strict=True)]
    pq.write_table(table.set_column(table.schema.get_field_index("sha256"), "sha256", pa.array(hashes)), path)


def not_a_number() -> None:
    path = "data/features/made/images.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["projected"][0] = float("nan")
    pq.write_table(pa.Table.from_pylist(rows, schema=features_schema(CLIP)), path)


def test_jpeg_on_one_class_is_what_tells_it_apart_and_its_ids_are_named(tmp_path, monkeypatch):
    project(tmp_path, monkeypatch, lambda name, rows: [jpeg(row) if name == "made" else row for row in rows])
    result = audited("photographs", "made")
    assert result["breaches"][HEADERS] == [f"{group}-{n}" for group in "abcd" for n in range(2)]
    assert result["probes"]["header"]["AUROC"] != 0.5
    with pytest.raises(UserError, match=f"made breaks .*'{HEADERS}': a-0, a-1, b-0, b-1, c-0 and 3 more.*; mend the source and run again"):
        stage.main(SimpleNamespace(**{**vars(PARAMS), "benchmarks": {}}))
    counted = read_json("metrics/audit.json")["made"]
    assert counted["broken"][HEADERS.replace(" ", "_")] == 8 and counted["breaches"] >= 8, "what was measured is kept all the same"


def test_stale_features_are_named_and_not_measured_with(tmp_path, monkeypatch):
    project(tmp_path, monkeypatch)
    stale("made")
    not_a_number()
    result = audited("photographs", "made")
    assert result["breaches"][FEATURES_BELONG] == ["b-1"] and len(result["breaches"][FINITE]) == 1
    assert result["clip"] == {}
    write_captions(
        {f"{group}-{n}": "A photo of something else" if group == "c" else "A photo of something" for group in "abcd" for n in (0, 1)}
    )
    stale("photographs")
    breaches = audited("photographs")["breaches"]
    assert breaches[CAPTIONS_BELONG] == ["c-0", "c-1"] and breaches[FEATURES_BELONG] == ["b-1"]


def test_features_that_are_missing_are_a_sentence(tmp_path, monkeypatch):
    project(tmp_path, monkeypatch)
    Path("data/features/photographs/captions.parquet").unlink()
    with pytest.raises(UserError, match="captions.parquet is missing; run dvc repro"):
        stage.main(PARAMS, "photographs")
    assert not Path("data/audit").exists()
