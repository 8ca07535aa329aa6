"""Checkpoints and detector folders of strangers: a detector that can judge an image, or one sentence that names the file."""

import io
import json
import pickle
import random
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from detector import load_detector, save_detector
from detector.attribution.attributor import UNKNOWN, load_attributor, save_attributor
from tests.detector.attribution.attributors import attributor
from tests.detector.test_saved import MODELS, trained
from tests.fuzz.hostile import FUZZ, TEXTS, VALUES, damaged, refused_or_read

WIDTH = 12


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("detectors")
    for kind in MODELS:
        save_detector(trained(kind), folder / kind)
    return {kind: folder / kind for kind in MODELS}


def loaded(path: Path):
    detector = refused_or_read(lambda: load_detector(path), str(path))
    if detector is not None:
        verdict, probability, _ = detector.judge(np.zeros((2, detector.classifier.n_features_in_)) + 1e-3)
        assert verdict.shape == (2,) and np.isfinite(probability).all()
    return detector


def checkpoint(path: Path, content: bytes):
    path.write_bytes(content)
    return loaded(path)


def saved(value) -> bytes:
    data = io.BytesIO()
    torch.save(value, data)
    return data.getvalue()


def linear(**values) -> dict:
    return {"weight": torch.linspace(-1, 1, WIDTH)[None], "bias": torch.zeros(1), **values}


SOUND = saved(linear())
CONCEPT = {
    "model_type": "concept",
    "state_dict": {
        "model.text_embeddings": torch.ones(3, WIDTH),
        "model.W_concepts.weight": torch.ones(3, WIDTH),
        "model.W_concepts.bias": torch.ones(3),
        "model.W_classifier.weight": torch.ones(1, 3),
        "model.W_classifier.bias": torch.ones(1),
    },
}


@given(st.sampled_from([SOUND, saved(CONCEPT)]).flatmap(damaged) | st.binary(max_size=60))
@settings(FUZZ, max_examples=150)
def test_damaged_checkpoints(folders, content):
    checkpoint(folders["linear"].parent / "x.ckpt", content)


def test_damaged_pickles_in_sound_archives(tmp_path):
    """Damage anywhere else fails the archive's checksums; this is what somebody would write who means harm."""
    chance = random.Random(0)
    with zipfile.ZipFile(io.BytesIO(saved(CONCEPT))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (name,) = [name for name in members if name.endswith("data.pkl")]
    for _ in range(150):
        changed = bytearray(members[name])
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, bytes(changed) if member == name else content)
        checkpoint(tmp_path / "x.ckpt", data.getvalue())


ODD = {
    "expanded": linear(weight=torch.zeros(1).expand(1, 10**11)),
    "whole numbers": linear(weight=torch.ones(1, WIDTH, dtype=torch.int64)),
    "complex": linear(weight=torch.ones(1, WIDTH, dtype=torch.complex64)),
    "sparse": linear(weight=torch.ones(1, WIDTH).to_sparse()),
    "infinite": linear(weight=torch.full((1, WIDTH), torch.inf)),
    "no width": linear(weight=torch.ones(1, 0)),
    "no tensor": linear(weight="x"),
    "nothing": {},
    "keys": {3: torch.ones(1), "a\nb": 1, None: 2},
    "keys of the state": {"model_type": "linear", "state_dict": {3: torch.ones(1)}},
    "kind": {"model_type": torch.ones(3), "state_dict": {}},
    "list": [torch.ones(1)],
    "tensor": torch.ones(3),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_checkpoints_are_refused(tmp_path, name):
    assert checkpoint(tmp_path / "x.ckpt", saved(ODD[name])) is None


def test_sound_checkpoints_are_read(tmp_path, folders):
    assert checkpoint(tmp_path / "x.pth", SOUND).kind == "linear" and checkpoint(tmp_path / "x.ckpt", saved(CONCEPT)).kind == "concept"
    assert checkpoint(tmp_path / "x.pt", saved(linear(weight=torch.ones(WIDTH, 1).T))).kind == "linear"  # a view, all of it there
    for kind, folder in folders.items():
        assert loaded(folder).kind == kind


def test_an_archive_of_zeros_fills_no_memory(tmp_path):
    content = saved(linear(weight=torch.zeros(1, 50_000_000)))
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in archive.namelist():
            bomb.writestr(name, archive.read(name))
    assert len(packed.getvalue()) < 1_000_000
    del content
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert checkpoint(tmp_path / "x.ckpt", packed.getvalue()) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


class Malicious:
    def __reduce__(self):
        return print, ("pwned",)


def test_code_is_never_run(tmp_path, capsys):
    for content in (pickle.dumps(Malicious()), saved({"weight": Malicious(), "bias": torch.zeros(1)})):
        assert checkpoint(tmp_path / "x.pt", content) is None
    assert "pwned" not in "".join(capsys.readouterr())


KEYS = ["kind", "point", "clip", "preprocessing", "training", "concepts", "calibration", "domain", "settings", "numbers"]


@pytest.mark.parametrize("kind", MODELS)
@given(st.data())
@settings(FUZZ)
def test_changed_descriptions(folders, kind, data):
    folder = folders[kind]
    sound = (folder / "detector.json").read_text()
    described = json.loads(sound)
    for key in data.draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=2)):
        inner = described[key]
        place = data.draw(st.sampled_from([None, *inner])) if isinstance(inner, dict) else None
        value = data.draw(VALUES.filter(lambda value: json.dumps(value, default=str) is not None))
        if place is None:
            described[key] = value
        else:
            inner[place] = value
    try:
        (folder / "detector.json").write_text(json.dumps(described, default=str, skipkeys=True))
        loaded(folder)
    finally:
        (folder / "detector.json").write_text(sound)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("file", ["detector.json", "weights.safetensors"])
@given(st.data())
@settings(FUZZ, max_examples=40)
def test_damaged_folders(folders, kind, file, data):
    path = folders[kind] / file
    sound = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(sound)))
        loaded(folders[kind])
    finally:
        path.write_bytes(sound)


NAMES = ["coef_", "intercept_", "domain.mean", "domain.directions", "n_features_in_"]
ARRAYS = [np.ones(3), np.ones((WIDTH, 1)), np.full(WIDTH, np.nan), np.ones(WIDTH, np.int8), np.zeros((0, WIDTH)), np.ones(())]


@given(st.dictionaries(st.sampled_from(NAMES) | TEXTS, st.sampled_from(ARRAYS), min_size=1, max_size=2))
@example({"coef_": np.ones((WIDTH, WIDTH))})
@example({"domain.variances": np.zeros(10)})
@settings(FUZZ)
def test_other_weights(folders, more):
    from safetensors.numpy import load_file

    path = folders["linear"] / "weights.safetensors"
    sound = path.read_bytes()
    try:
        path.write_bytes(save({**load_file(str(path)), **{name.encode("utf-8", "ignore").decode(): array for name, array in more.items()}}))
        loaded(folders["linear"])
    finally:
        path.write_bytes(sound)


@pytest.fixture(scope="module")
def attribution(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("attributors") / "a"
    save_attributor(attributor(), folder)
    return folder


def asked(folder: Path) -> None:
    found = refused_or_read(lambda: load_attributor(folder), str(folder))
    if found is not None:
        names, scores = found.judge(np.full((2, found.coef.shape[1]), 1e-3))
        assert set(names.tolist()) <= {*found.classes, UNKNOWN} and np.isfinite(scores).all()
        refused_or_read(lambda: found.require_own({"id": "x", "revision": "", "preprocessing": {}, "widths": {"pooled": 3}}, 12), "x")


@given(
    st.dictionaries(st.sampled_from(["classes", "block", "threshold", "clip", "training", "none_because"]), VALUES, min_size=1, max_size=2)
)
@settings(FUZZ)
def test_changed_descriptions_of_attributors(attribution, changed):
    path = attribution / "attributor.json"
    sound = path.read_text()
    try:
        path.write_text(json.dumps(json.loads(sound) | changed, default=str, skipkeys=True))
        asked(attribution)
    finally:
        path.write_text(sound)


@pytest.mark.parametrize("file", ["attributor.json", "weights.safetensors"])
@given(st.data())
@settings(FUZZ, max_examples=40)
def test_damaged_attributors(attribution, file, data):
    path = attribution / file
    sound = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(sound)))
        asked(attribution)
    finally:
        path.write_bytes(sound)
