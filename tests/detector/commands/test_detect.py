"""synthclic detect with published checkpoints: from pixels to verdict, and every way to misuse it."""

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detector.cli import main
from tests.conftest import textured
from tests.tiny.clip import save_open_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return save_open_clip(tmp_path_factory.mktemp("clip") / "tiny", side=336)


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for seed, suffix in enumerate(("png", "jpg", "webp")):
        textured(seed, 400, 350).save(folder / f"{seed}.{suffix}")
    (folder / "torn.png").write_bytes(b"torn")
    return folder


def linear(path: Path, width: int = 64) -> tuple[Path, np.ndarray]:
    torch.manual_seed(1)
    weight = torch.randn(1, width)
    state = {"model.classification_head.fc.weight": weight, "model.classification_head.fc.bias": torch.zeros(1)}
    torch.save({"state_dict": state, "model_type": "linear"}, path)
    return path, weight[0].double().numpy()


def concept(path: Path, count: int = 3, width: int = 32) -> Path:
    torch.manual_seed(2)
    shapes = {"text_embeddings": (count, width), "W_concepts.weight": (count, width), "W_concepts.bias": (count,)}
    shapes |= {"W_classifier.weight": (1, count), "W_classifier.bias": (1,)}
    torch.save({"state_dict": {f"model.{n}": torch.randn(shape) for n, shape in shapes.items()}, "model_type": "concept"}, path)
    return path


def lines(capsys) -> list[list[str]]:
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_a_published_checkpoint_judges_pixels(clip, images, tmp_path, capsys):
    from detector.clip import Clip

    path, weight = linear(tmp_path / "probe.ckpt")
    main(["detect", str(images), "--detector", str(path), "--clip", str(clip)])
    found = lines(capsys)
    assert [line[1] for line in found][-1] == "unreadable" and len(found) == 4
    preprocessing = {"resize": 336, "interpolation": "bilinear", "crop": 336}
    seen = Clip(clip, preprocessing={**Clip(clip).preprocessing, **preprocessing})
    pictures = [Image.open(line[0]).convert("RGB") for line in found[:3]]
    logits = seen.features(pictures).pooled.astype(np.float64) @ weight
    for line, logit in zip(found, logits, strict=False):
        assert line[1] == ("synthetic" if logit > 0 else "real")
        assert float(line[2]) == pytest.approx(1 / (1 + np.exp(-logit)), abs=2e-3)
        assert "never calibrated" in line[3]


def test_concepts_of_a_checkpoint_are_numbered_or_named_from_a_vocabulary(clip, images, tmp_path, capsys):
    path = concept(tmp_path / "concepts.ckpt")
    command = ["detect", str(images / "0.png"), "--detector", str(path), "--clip", str(clip), "--json"]
    main([*command, "--explain"])
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(found["concepts"]) <= {"concept-1", "concept-2", "concept-3"} and len(found["concepts"]) > 1
    assert found["concept_verdict"] == found["verdict"]
    vocabulary = tmp_path / "words.csv"
    vocabulary.write_text("name,low,high\nhaze,clear,hazy\ngrain,clean,grainy\nglow,plain,glowing\n")
    main([*command, "--concepts", str(vocabulary)])
    (named,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(named["concepts"]) <= {"haze", "grain", "glow"}
    assert list(named["concepts"].values()) == list(found["concepts"].values())


def test_csv_has_a_row_a_file_and_quotes_what_needs_it(clip, tmp_path, capsys):
    name = tmp_path / 'a "strange", name.png'
    textured(0, 340, 340).save(name)
    main(["detect", str(name), "--detector", str(linear(tmp_path / "probe.ckpt")[0]), "--clip", str(clip), "--csv"])
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["path"] == str(name) and 0 <= float(row["probability"]) <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda d: ["--detector", str(d / "none")], "is no detector"),
        (lambda d: ["--clip", str(d / "none")], "no such folder"),
        (lambda d: ["--clip", str(d)], "holds no CLIP"),
        (lambda d: ["--detector", str(linear(d / "wide.ckpt", 1024)[0])], "its pooled features have width 64, this detector reads 1024"),
        (lambda d: ["--explain"], "decides by no named concepts"),
        (lambda d: ["--batch-size", "0"], "give 1 or more"),
        (lambda d: ["--max-pixels", "0"], r"--max-pixels: input should be greater than or equal to 1 \(got 0\); give"),
        (lambda d: ["--max-pixels", "1000000000"], r"--max-pixels: input should be less than or equal to 178956970 \(got 1000000000\)"),
    ],
)
def test_misuse_is_explained_before_anything_is_read(clip, images, tmp_path, arguments, message):
    given = ["--detector", str(linear(tmp_path / "probe.ckpt")[0]), "--clip", str(clip), *arguments(tmp_path)]
    with pytest.raises(SystemExit, match=message) as stopped:
        main(["detect", str(images), *given])
    assert "\n" not in str(stopped.value)


def test_larger_images_than_asked_for_are_not_decoded(clip, images, tmp_path, capsys):
    textured(1, 340, 340).save(images / "small.png")
    main(["detect", str(images), "--detector", str(linear(tmp_path / "probe.ckpt")[0]), "--clip", str(clip), "--max-pixels", "115600"])
    found = {Path(line[0]).name: line[1:] for line in lines(capsys)}
    assert found["0.png"] == ["unreadable", "", "400x350 exceeds 115600 pixels"] and found["small.png"][0] != "unreadable"


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_a_name_of_strange_bytes_is_shown_and_stops_nothing(clip, tmp_path, capsysbinary, form):
    names = [b"\xff\xfe.png", b"two\nlines\tand \x1b[2J.png", "ä 🙂\u202egnp.png".encode()]
    for name in names:
        textured(1, 340, 340).save(tmp_path / "x.png")
        (tmp_path / "x.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    main(["detect", str(tmp_path), "--detector", str(linear(tmp_path / "p.ckpt")[0]), "--clip", str(clip), *([form] if form else [])])
    out = capsysbinary.readouterr().out
    text = out.decode()  # it is UTF-8 whatever the names are
    if form == "--json":
        assert {os.fsencode(Path(json.loads(line)["path"]).name) for line in text.splitlines()} == set(names), "JSON gives the very name"
        return
    if form == "--csv":
        found = [Path(row["path"]).name for row in csv.DictReader(io.StringIO(text, newline=""))]
        assert sorted(found) == sorted(["\\udcff\\udcfe.png", *(name.decode() for name in names[1:])])
        return
    assert len(text.splitlines()) == 3 and all(len(line.split("\t")) == 4 for line in text.splitlines()) and b"\x1b" not in out
    assert "\\udcff\\udcfe.png\t" in text and "two\\nlines\\tand \\x1b[2J.png\t" in text and "ä 🙂\\u202egnp.png\t" in text


def test_a_vocabulary_of_another_length_is_refused(clip, images, tmp_path):
    vocabulary = tmp_path / "words.csv"
    vocabulary.write_text("name,low,high\nhaze,clear,hazy\n")
    path = concept(tmp_path / "concepts.ckpt")
    with pytest.raises(SystemExit, match="names 1 concepts, the detector has 3"):
        main(["detect", str(images), "--detector", str(path), "--clip", str(clip), "--concepts", str(vocabulary)])


def attribution(folder: Path, seen_by: Path, detector: Path, **other) -> Path:
    """An attributor of what the detector sees with; its origins are decided by the CLS token of the CLIP's first block."""
    from detector import load_detector
    from detector.attribution.attributor import save_attributor
    from detector.clip import clip_record
    from tests.detector.attribution.attributors import attributor

    random = np.random.default_rng(0)
    record = clip_record(seen_by, load_detector(detector).preprocessing)
    made = {"coef": random.normal(size=(3, 64)), "block": 0, "threshold": 0.0, "clip": record, "classes": ("first", "real", "second")}
    save_attributor(attributor(**(made | other)), folder)
    return folder


def test_attribution_is_said_in_every_form_and_columns_keep_their_places(clip, images, tmp_path, capsys):
    from detector.attribution.attributor import load_attributor
    from detector.clip import Clip

    detector = linear(tmp_path / "probe.ckpt")[0]
    folder = attribution(tmp_path / "a", clip, detector)
    command = ["detect", str(images), "--detector", str(detector), "--clip", str(clip), "--batch-size", "2"]
    main([*command, "--json", "--attributor", str(folder)])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    attributor = load_attributor(folder)
    seen = Clip(clip, preprocessing=attributor.clip["preprocessing"])
    _, _, cls = seen.picture_features([seen.picture(Image.open(line["path"]).convert("RGB")) for line in found[:3]], (0,))
    origins, scores = attributor.judge(cls)
    assert [line["origin"] for line in found[:3]] == origins.tolist()
    assert [line["origin_score"] for line in found[:3]] == pytest.approx(scores.tolist(), abs=1e-3)
    assert found[3]["verdict"] == "unreadable" and not {"origin", "origin_score"} & set(found[3])

    main([*command, "--csv", "--attributor", str(folder)])
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0][:7] == ["path", "verdict", "probability", "reason", "note", "concept_verdict", "concepts"]
    assert rows[0][7:] == ["origin", "origin_score"] and rows[1][7] == origins[0] and rows[4][7:] == ["", ""]
    assert float(rows[1][8]) == pytest.approx(scores[0], abs=1e-3)

    main([*command, "--attributor", str(folder)])
    assert f"origin: {origins[0]} {scores[0]:.2f}" in lines(capsys)[0][3]
    main([*command, "--csv"])
    assert all(row["origin"] == row["origin_score"] == "" for row in csv.DictReader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"clip": {"id": "elsewhere", "revision": "x"}}, "another revision than the attributor's, elsewhere; give"),
        ({"block": 99}, "reads block 99 of width 64"),
        ({"coef": np.ones((3, 32))}, "reads block 0 of width 32"),
    ],
)
def test_an_attributor_of_another_clip_is_refused_before_weights_are_read(clip, images, tmp_path, monkeypatch, other, message):
    detector = linear(tmp_path / "probe.ckpt")[0]
    folder = attribution(tmp_path / "a", clip, detector, **other)
    monkeypatch.setattr("detector.clip.load_clip", lambda *_: pytest.fail("the weights were read"))
    with pytest.raises(SystemExit, match=message) as stopped:
        main(["detect", str(images), "--detector", str(detector), "--clip", str(clip), "--attributor", str(folder)])
    assert "\n" not in str(stopped.value)


def test_without_an_attributor_attribution_says_why(clip, images, tmp_path, monkeypatch):
    from detector.attribution.attributor import save_absence

    given = ["detect", str(images), "--detector", str(linear(tmp_path / "probe.ckpt")[0]), "--clip", str(clip), "--attribute"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="data/attribution is no attributor .*; run dvc repro attribute"):
        main(given)
    save_absence("there is one generator; add one", tmp_path / "data/attribution")
    with pytest.raises(SystemExit, match="data/attribution holds no attributor: there is one generator; add one$"):
        main(given)
