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
from detector.features import IMAGE, RANDOM, RECONSTRUCTION, WHAT, features_schema
from detector.probes.belonging import CAPTIONS_BELONG, FEATURES_BELONG, FINITE
from pipeline.alterations import Views
from pipeline.audit.rules import ENCODER
from pipeline.counterparts import COUNTERPART
from pipeline.errors import UserError
from pipeline.files import read_json, write_json
from pipeline.images import decode_png, encode_png, sha256
from pipeline.photographs.splits import SPLITS
from pipeline.records import read_rows, write_shards
from stages import audit as stage
from stages.benchmark import BENCHMARK
from tests.conftest import textured
from tests.pipeline.audit.encodings import png
from tests.pipeline.packaged import write_dataset

CLIP = {"id": "c", "revision": "r", "preprocessing": {}, "widths": {"pooled": 3, "projected": 4}}
UNTAUGHT = CLIP | {"revision": "random"}
PARAMS = SimpleNamespace(
    seed=1,
    evaluation=SimpleNamespace(bootstrap=100),
    views=Views(augmented=1, altered={"blur": [1]}),
    detectors=SimpleNamespace(folds=None),
    generators={"made": None},
    benchmarks={"theirs": None, "alike": None},
)
ALONE = SimpleNamespace(**{**vars(PARAMS), "benchmarks": {}})
HEADERS = stage.ONLY_THE_PICTURE


def vector(*parts: str, width: int) -> list[float]:
    return np.random.default_rng([ord(letter) for letter in "".join(parts)]).normal(size=width).tolist()


def write_features(name: str, rows: list[dict]) -> None:
    """Features of the packaged rows under data/dataset/<name> (each photograph's counterpart close to it), and of `rows`."""
    packaged = [row | {"role": IMAGE} for split in SPLITS for row in read_rows(f"data/dataset/{name}", split)]
    images = packaged + rows
    views = {
        "images": [(row, "") for row in images],
        "augmented": [(row, "augmented-0") for row in images if row["split"] == "train"],
        "altered": [(row, "blur-1") for row in packaged if row["split"] == "test"],
        "random": [(row, view) for row in packaged for view in ("", "augmented-0")],
    }
    for what in WHAT:
        found = [
            {
                **{key: row[key] for key in ("image_id", "group", "split", "role", "sha256")},
                "source": name,
                "view": view,
                "label": int(name != "photographs" and row["role"] == IMAGE),
                "pooled": vector(row["image_id"], width=3),
                "projected": [a + 0.1 * b for a, b in zip(vector(row["image_id"], width=4), vector(name, width=4), strict=True)],
            }
            for row, view in views[what]
        ]
        path = Path(f"data/features/{name}/{what}.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(found, schema=features_schema(UNTAUGHT if what == RANDOM else CLIP)), path)


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
    folder.mkdir(parents=True, exist_ok=True)
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


def project(folder: Path, monkeypatch, damage=lambda name, rows: rows, dropped=(), generators=("made",)) -> None:
    monkeypatch.chdir(folder)
    write_dataset(Path("data/dataset"), list(generators), damage)
    for name in generators:
        write_features(name, generated(name, list(dropped)))
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
    assert read_json(sound / "data/audited.json") == {"sources": ["photographs", "made"]}
    metrics = read_json(sound / "metrics/audit.json")
    made, photographs = metrics["made"], metrics["photographs"]
    assert (made["rows"], made["pairs"], made["dropped"], made["breaches"]) == (7, 7, 1, 0) and "broken" not in made
    assert made["reasons"] == {"blank_the_whole_image_is_one_value_again": 1} and made["resampled"] == 2
    assert made["prompts_cut"] == {"tokenizer": 3}
    chance = {f"{key}{side}": 0.5 for key in ("AUROC", "paired_win_rate") for side in ("", "_low", "_high")}
    assert made["probes"]["header"] == made["probes"]["caption"] == chance
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
    write_json("data/audited.json", {"sources": ["of another day"]})
    shown = r"a-0, a-1, b-0, b-1, c-0 and 3 more \(all in data/audit/made/audit.json; "
    with pytest.raises(UserError, match=f"made breaks .*'{HEADERS}': {shown}mend the source and run again") as error:
        stage.main(ALONE)
    assert f"{ENCODER!r}: {shown.replace(chr(92), '')}make photographs and counterparts with one version of Pillow" in str(error.value)
    assert not Path("data/audited.json").exists()
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
    write_features("made", [row | {"role": RECONSTRUCTION} for row in decoded()])
    assert (audited("made")["breaches"], audited("made")["clip"]) == ({}, {}), (
        "nothing is compared with photographs' features that are stale"
    )
    with pytest.raises(UserError, match="'features belong to .*': b-1 .*; run dvc repro --force features-photographs"):
        stage.main(ALONE)


def decoded() -> list[dict]:
    """The reconstructions that `generated` left, with what their features say."""
    rows = read_rows("data/generated/made", "counterparts")
    return [row | {"sha256": sha256(row["reconstruction"]["bytes"])} for row in rows]


def test_one_encoder_behind_one_header_is_not_enough(tmp_path, monkeypatch):
    def unfiltered(row):
        data = png(decode_png(row["image"]["bytes"]))
        return row | {"image": {**row["image"], "bytes": data}, "sha256": sha256(data)}

    project(tmp_path, monkeypatch, lambda name, rows: [unfiltered(row) if name == "made" and row["group"] == "c" else row for row in rows])
    assert audited("photographs", "made")["breaches"] == {ENCODER: ["c-0", "c-1"]}
    (tmp_path / "all").mkdir()
    project(tmp_path / "all", monkeypatch, lambda name, rows: [unfiltered(row) for row in rows])
    assert audited("photographs", "made")["breaches"] == {}, "another version made all of them: no leak"


def test_only_so_many_pairs_are_encoded_again_and_the_same_of_every_source(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "ENCODED", 3)
    project(tmp_path, monkeypatch)
    audited("photographs", "made")
    cues = [stage.read_cues(Path("data/audit") / name).to_pylist() for name in ("photographs", "made")]
    tried = [{row["image_id"] for row in rows if row["ours"] is not None} for rows in cues]
    assert tried[0] == tried[1] and len(tried[0]) == 3


def test_two_generators_of_the_same_pixels_are_named_by_the_merge(tmp_path, monkeypatch):
    first: dict[str, dict] = {}

    def copied(name, rows):
        if name == "made":
            first.update({row["image_id"]: row for row in rows})
        shared = ("image", "sha256", "pixels_sha256")
        return [
            row | {key: first[row["image_id"]][key] for key in shared} if name == "twin" and row["group"] == "a" else row for row in rows
        ]

    project(tmp_path, monkeypatch, copied, generators=("made", "twin"))
    both = SimpleNamespace(**{**vars(ALONE), "generators": {"made": None, "twin": None}})
    assert audited("photographs", "made")["breaches"] == {} == audited("twin")["breaches"]
    with pytest.raises(UserError, match="made breaks 'no two generators .*': made/a-0, made/a-1 .*twin breaks .*: twin/a-0, twin/a-1 "):
        stage.main(both)
    assert read_json("metrics/audit.json")["twin"]["broken"] == {"no_two_generators_show_the_same_pixels": 2}


def test_ids_are_printed_without_what_rewrites_a_terminal(tmp_path, monkeypatch):
    name = "a\u202e\x1b[2J"
    project(tmp_path, monkeypatch)
    audited("photographs", "made")
    write_json("data/audit/made/audit.json", read_json("data/audit/made/audit.json") | {"breaches": {"not blank": [name]}})
    with pytest.raises(UserError) as error:
        stage.main(ALONE)
    assert str(error.value).isprintable() and r"a\u202e\x1b[2J" in str(error.value)


def test_features_that_are_missing_are_a_sentence(tmp_path, monkeypatch):
    project(tmp_path, monkeypatch)
    Path("data/features/photographs/captions.parquet").unlink()
    with pytest.raises(UserError, match="captions.parquet is missing; run dvc repro"):
        stage.main(PARAMS, "photographs")
    assert not Path("data/audit").exists()
