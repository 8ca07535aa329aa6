"""Descriptions of image sets, records and cards of publications: read, or refused in one sentence that names the file."""

import json
import re
from pathlib import Path, PurePosixPath

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.damage import _recorded
from pipeline.dataset import card
from pipeline.files import read_json
from pipeline.imagesets import ImageSet, read_image_set
from pipeline.photographs.originals import LONGEST_ID, id_problem
from pipeline.photographs.splits import SPLITS
from pipeline.publication import card_files, read_record
from tests.fuzz.hostile import FUZZ, TEXTS, VALUES, damaged, refused_or_read

SET = {"dataset": "someone/images", "revision": "0" * 40, "label": "label", "splits": {"test": "held out"}, "where": {"set": 1}}
RECORD = {"kind": "synthclic publication", "version": 1, "without_photographs": True, "files": {"flux/test-00000.parquet": "0" * 64}}


def manifest(source: str, licence: str = "CC0-1.0") -> dict:
    splits = {split: {"rows": 1, "files": [f"{split}-00000.parquet"]} for split in SPLITS}
    counts = {"dropped": 0, "resampled": 0, "groups": 1}
    folder = "photographs" if source == "packaged" else "flux"
    return {"folder": folder, "source": source, "family": None, "mode": None, "licence": licence, "splits": splits, **counts}


CARD = card("made", [manifest("packaged"), manifest("flux")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("descriptions")


def image_set(folder: Path, content: bytes) -> ImageSet | None:
    path = folder / "set.yaml"
    path.write_bytes(content)
    return refused_or_read(lambda: read_image_set(path), str(path))


def dumped(value) -> bytes | None:
    try:
        return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, TypeError):
        return None


@given(damaged(dumped(SET)) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=60))
@example(b"folder: \xff")
@example(b'folder: "a\\0b"')
@example(b"[" * 5000)
@example(b"dataset: 2024-13-45")
@example(b"dataset: !!timestamp x")
@example(b"where: &a {x: *a}")
@settings(FUZZ, max_examples=100)
def test_any_text_of_an_image_set(folder, content):
    image_set(folder, content)


@given(st.dictionaries(st.sampled_from([*SET, "folder", "image", "image_id", "config"]) | TEXTS | st.integers(), VALUES, max_size=3))
@example({"where": {"x": float("nan")}})
@example({"a\nb\x1b[2J": 1})
@example({"image": "x" * 5000 + "\n", "dataset": 3})
@settings(FUZZ, max_examples=100)
def test_any_keys_of_an_image_set(folder, changes):
    content = dumped({**SET, **changes})
    found = None if content is None else image_set(folder, content)
    assert found is None or (found.dataset is None) != (found.folder is None)


@given(damaged(json.dumps(RECORD).encode()) | st.dictionaries(TEXTS, st.text(max_size=5)).map(
    lambda files: json.dumps({**RECORD, "files": files}).encode()))  # fmt: skip
@example(json.dumps({**RECORD, "files": {"../x/test-00000.parquet": ""}}).encode())
@example(json.dumps({**RECORD, "files": {"x/test-00000.parquet\n": ""}}).encode())
@example(json.dumps({**RECORD, "files": {"x/test-00000.parquet/../../../y": ""}}).encode())
@example(b"[" * 100_000)
@example(b"\xff")
@settings(FUZZ, max_examples=150)
def test_records_of_publications_name_nothing_outside(folder, content):
    (folder / "publication.json").write_bytes(content)
    record = read_record(folder)
    for name in record.files if record else ():
        assert PurePosixPath(name).parts[1:] == (PurePosixPath(name).name,) and ".." not in name and not name.startswith("/")


@given(damaged(CARD.encode()))
@example(b"---\n\xff\n---\n")
@example(b"---\n" + b"[" * 5000 + b"\n---\n")
@example(b"---\nconfigs: 2024-13-45\n---\n")
@example(CARD.replace("test-00000.parquet", "../../test-00000.parquet").encode())
@example(CARD.replace("flux/test-00000", "flux/test-00000\\n").encode())
@settings(FUZZ)
def test_cards_name_nothing_outside(folder, content):
    for source in ("photographs", "flux"):
        (folder / source).mkdir(exist_ok=True)
        for split in SPLITS:
            (folder / source / f"{split}-00000.parquet").touch()
    (folder / "README.md").write_bytes(content)
    found = refused_or_read(lambda: card_files(folder), str(folder))
    assert found is None or all((folder / name).resolve().is_relative_to(folder.resolve()) for name in found[1])


@given(damaged(json.dumps(RECORD).encode()) | st.binary(max_size=20))
@settings(FUZZ)
def test_damaged_json(folder, content):
    (folder / "metrics.json").write_bytes(content)
    refused_or_read(lambda: read_json(folder / "metrics.json"), "metrics.json")


@given(damaged(dumped({"schema": "2.0", "stages": {"a": {"outs": [{"path": "data/a"}]}}})) | VALUES.map(dumped).filter(bool))
@settings(FUZZ)
def test_damaged_records_of_stages(folder, content):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.damage.LOCK", folder / "dvc.lock")
        (folder / "dvc.lock").write_bytes(content)
        assert all(isinstance(text, str) for pair in _recorded() for text in pair)


@given(TEXTS | st.text(alphabet="a.\u200c\u200d\u202e\u2028\x85/\\é"))
@settings(FUZZ, max_examples=150)
def test_an_id_is_one_visible_name(image_id):
    if id_problem(image_id) is None:
        assert len(image_id.encode()) <= LONGEST_ID and len(image_id.splitlines()) == 1 and PurePosixPath(image_id).name == image_id
        assert image_id.replace("\u200c", "").replace("\u200d", "").strip()


def test_a_record_or_a_card_that_is_a_folder(tmp_path):
    (tmp_path / "README.md").mkdir()
    (tmp_path / "publication.json").mkdir()
    assert refused_or_read(lambda: card_files(tmp_path), str(tmp_path)) is None
    assert read_record(tmp_path) is None


LICENCES = ["\n---\nlicense: mit\n---\n", "a | b", "[x](http://example.com)", "![x](y)", "<script>", "`a`", "a\\|b", "\u2028", "\u202e"]


@given(st.sampled_from(LICENCES) | st.text(max_size=12))
@settings(FUZZ)
def test_a_licence_is_no_markup_in_the_card(licence):
    text = card("made", [manifest("packaged", licence), manifest("flux")])
    _, head, body = text.split("---\n", 2)
    assert head == CARD.split("---\n", 2)[1]
    assert text.count("\n") == CARD.count("\n") and all(character.isprintable() or character == "\n" for character in body)
    unescaped = re.sub(r"\\[\\`*\[\]<>|]", "", body)
    assert unescaped.count("|") == CARD.count("|") and not re.search(r"[\[\]<>]", unescaped)
