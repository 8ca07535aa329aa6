"""Damage on disk is noticed by checksums: a work-store entry is made again, a shard is refused with its remedy."""

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.records import RowReader, read_rows
from tests.faults.killing import digests, ended, stage
from tests.faults.writing import batches, work

pytestmark = pytest.mark.faults


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGE = {"a flipped bit": flipped, "truncated": lambda data: data[:-9], "empty": lambda data: b""}

STAGES = ("", "{x: }", "{x: {outs: 3}}", "{x: {outs: [3]}}", "{x: {outs: [{}]}}", "{x: {outs: [{path: 3}]}}")
TORN_LOCKS = ["<<<<<<< ours\nstages:\n=======\n", "", "[]", *(f"stages: {stages}" for stages in STAGES)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    work(folder)
    return folder


@pytest.fixture
def folder(finished, tmp_path, monkeypatch) -> Path:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_damaged_entry_of_the_store_is_noticed_and_made_again(folder, finished, caplog):
    made = batches(folder / ".work")
    paths = [made.store._path(key) for key in made.keys]
    for path, damage in zip(paths, DAMAGE.values(), strict=False):
        path.write_bytes(damage(path.read_bytes()))
    shutil.copy(paths[-1], paths[-2])  # a sound entry, of another key
    work(folder)
    assert caplog.text.count("is damaged and will be made again") == len(DAMAGE) + 1
    assert digests(folder) == digests(finished)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_refused_with_its_name_and_the_remedy(damage, folder):
    shard = Path("data/counterparts/counterparts-00002.parquet")
    shard.write_bytes(DAMAGE[damage](shard.read_bytes()))
    lock = {"stages": {"generate@sdxl": {"outs": [{"path": "data/generated/sdxl"}, {"path": "data/counterparts"}]}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    sentence = (
        rf"^{shard} is damaged \(.+\); delete data/counterparts and run dvc checkout data/counterparts, "
        r"or make it again with dvc repro --force generate@sdxl$"
    )
    with pytest.raises(UserError, match=sentence):
        list(read_rows("data/counterparts", "counterparts"))
    with pytest.raises(UserError, match=sentence):
        reader = RowReader("data/counterparts", "counterparts", ["value"], key="id")
        [reader[item] for item in reader]
    for lock in TORN_LOCKS:
        Path("dvc.lock").write_text(lock)
        with pytest.raises(UserError, match="put a sound copy in its place or make it again"):
            list(read_rows("data/counterparts", "counterparts"))
    Path("dvc.lock").unlink()
    with pytest.raises(UserError, match="put a sound copy in its place or make it again"):
        list(read_rows("data/counterparts", "counterparts"))


@pytest.mark.parametrize("content", [b'{"a": ', b"<<<<<<< ours\n{}\n=======\n", b"", b"\xff", b"[" * 100_000])
def test_torn_and_half_merged_json_is_refused_with_its_name_and_the_remedy(content, tmp_path):
    (tmp_path / "headline.json").write_bytes(content)
    with pytest.raises(UserError, match=r"headline\.json is no valid JSON; run dvc repro to make it again"):
        read_json(tmp_path / "headline.json")


def test_a_stage_that_meets_a_damaged_shard_ends_with_that_sentence(folder):
    (folder / "data/counterparts/counterparts-00000.parquet").write_bytes(b"PAR1")
    program = """
import stages.run
from pipeline.files import replacing_folder
from pipeline.records import read_rows
stages.run.load_params = lambda: None
def main(params):
    with replacing_folder("data/out") as out:
        (out / "half").write_text("half")
        list(read_rows("data/counterparts", "counterparts"))
stages.run.run(main)
"""
    code, out = ended(stage("", folder=folder, program=("-c", program)))
    assert code == 1 and out.startswith("error: data/counterparts/counterparts-00000.parquet is damaged (") and len(out.splitlines()) == 1
    assert not [path for path in (folder / "data").rglob("*") if "out" in path.name]


def test_a_file_that_is_not_there_is_not_called_damaged(folder):
    reader = RowReader("data/counterparts", "counterparts", ["value"], key="id")
    shutil.rmtree("data/counterparts")
    with pytest.raises(FileNotFoundError):
        reader[next(iter(reader))]
