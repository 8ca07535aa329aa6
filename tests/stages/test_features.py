"""What the features stage asks of the packaged photographs beyond their pixels."""

from __future__ import annotations

from pathlib import Path

from stages.features import _prompts
from tests.pipeline.packaged import write_dataset


def test_captions_are_those_of_the_packaged_photographs_that_have_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def damage(name, rows):
        return [row | {"prompt": None if row["group"] == "b" else f"A photo of {row['image_id']}"} for row in rows]

    write_dataset(Path("data/dataset"), [], damage)
    assert _prompts() == {f"{group}-{n}": f"A photo of {group}-{n}" for group in "acd" for n in range(2)}
