"""Text features of captions: each beside its own id and the hash of its prompt, made once and never of a stale prompt."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from detector.captions import CAPTIONS, prompt_sha256, read_captions, write_captions
from pipeline.errors import UserError
from pipeline.store import WorkStore

RECORD = {"id": "tiny", "revision": "1", "widths": {"pooled": 3, "projected": 2}}
PROMPTS = {"b": "A photo of a tree", "a": "Ein Bäumchen", "d": "A photo of a tree", "c": ""}


@pytest.fixture
def write(tmp_path):
    def go(prompts=PROMPTS, recipe=None, batch_size=2) -> list[list[str]]:
        encoded: list[list[str]] = []

        def text_features(texts):
            encoded.append(list(texts))
            return np.array([[len(text), sum(map(ord, text))] for text in texts], np.float32)

        store = WorkStore(tmp_path / "work", "features")
        clip = SimpleNamespace(text_features=text_features)
        write_captions(tmp_path / CAPTIONS, prompts, batch_size, RECORD, recipe or {"clip": "1"}, store, lambda: clip)
        return encoded

    return go


def test_each_caption_lies_beside_its_own_id(write, tmp_path):
    encoded = write()
    assert sorted(text for cell in encoded for text in cell) == sorted(set(PROMPTS.values())), "equal prompts are encoded once"
    assert max(map(len, encoded)) <= 2
    found = read_captions(tmp_path)
    assert found.image_id.tolist() == ["a", "b", "c", "d"] and found.clip == RECORD
    assert found.projected.tolist() == [[len(PROMPTS[i]), sum(map(ord, PROMPTS[i]))] for i in "abcd"]
    assert found.projected.dtype == np.float32 and found.sha256.tolist() == [prompt_sha256(PROMPTS[i]) for i in "abcd"]
    assert prompt_sha256("ä") == hashlib.sha256(b"\xc3\xa4").hexdigest()


def test_what_was_encoded_is_not_encoded_again_but_for_another_clip_or_prompt(write, tmp_path):
    write()
    before = (tmp_path / CAPTIONS).read_bytes()
    assert write() == [] and (tmp_path / CAPTIONS).read_bytes() == before
    assert sum(map(len, write(recipe={"clip": "2"}))) == 3
    changed = write(prompts=PROMPTS | {"a": "Ein Baum"})
    assert any("Ein Baum" in cell for cell in changed) and read_captions(tmp_path).projected[0, 0] == len("Ein Baum")


def test_no_captions_are_a_file_without_rows(write, tmp_path):
    assert write(prompts={}) == []
    found = read_captions(tmp_path)
    assert found.projected.shape == (0, 2) and found.image_id.tolist() == []


def test_missing_and_unsigned_files_are_named(write, tmp_path):
    with pytest.raises(UserError, match="captions.parquet is missing; run dvc repro"):
        read_captions(tmp_path)
    write()
    pq.write_table(pq.read_table(tmp_path / CAPTIONS).replace_schema_metadata(None), tmp_path / CAPTIONS)
    with pytest.raises(UserError, match="does not say which CLIP made it"):
        read_captions(tmp_path)
    write()
    assert json.loads(pq.read_schema(tmp_path / CAPTIONS).metadata[b"clip"]) == RECORD
