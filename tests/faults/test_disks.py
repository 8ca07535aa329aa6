"""A full disk, a read-only folder, two writers at once: one sentence, the old outs as they were, and on again afterwards."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import files
from pipeline.errors import UserError
from pipeline.files import replacing_file, replacing_folder, write_bytes
from pipeline.store import WorkStore
from tests.faults.killing import digests, ended, stage, temporaries
from tests.faults.writing import ITEMS, table, work

pytestmark = pytest.mark.faults
AT_WORK = """
import os
import sys
from pathlib import Path
import stages.run
from tests.faults.writing import ITEMS, table, work
if "NOBODY" in os.environ:
    table(list(ITEMS))  # while what it imports may still be read
    os.setuid(65534)
stages.run.load_params = lambda: None
__spec__ = stages.run.__spec__  # a stage is a module, and is named by it
stages.run.run(lambda params, folder, *store: work(Path(folder), *map(Path, store)))
"""
"""`writing.work` as a stage; its parameters are read from nowhere."""
ROOM = 256 * 1024  # bytes: outs and store together need more


def at_work(*arguments, folder: Path, **options) -> tuple[int, str]:
    return ended(stage("", *map(str, arguments), folder=folder, program=("-c", AT_WORK), **options))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    work(folder)
    return digests(folder / "data")


@pytest.fixture
def mounted(tmp_path):
    """A file system of its own in `tmp_path/disk`, small, which a test may mount anew with other options."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True)
        if done.returncode:
            pytest.skip("mounting is not permitted here")
        return disk

    try:
        if not shutil.which("mount"):
            pytest.skip("there is no mount here")
        yield mount
    finally:
        subprocess.run(["umount", str(disk)], capture_output=True)


def sentence(out: str) -> str:
    assert "Traceback" not in out
    (found,) = [line for line in out.splitlines() if line.startswith("error: ")]
    return found


def test_a_run_that_fills_the_disk_says_so_and_goes_on_when_there_is_room(mounted, undisturbed, tmp_path):
    disk = mounted(f"size={ROOM}")
    code, out = at_work(disk, folder=tmp_path)
    assert code == 1 and "there is no space left for " in sentence(out) and str(disk) in sentence(out)
    assert not temporaries(disk) and not list((disk / "data").rglob("*"))
    finished = digests(disk / ".work")
    assert finished, "what was finished before is kept"
    mounted_again = subprocess.run(["mount", "-o", f"remount,size={8 * ROOM}", str(disk)], capture_output=True)
    assert mounted_again.returncode == 0
    code, out = at_work(disk, folder=tmp_path)
    assert code == 0 and f"{len(finished)} of " in out, out
    assert digests(disk / "data") == undisturbed


def test_a_file_larger_than_may_be_is_one_sentence_and_the_old_outs_stay(undisturbed, tmp_path):
    work(tmp_path)
    changed = {path: found for path, found in digests(tmp_path).items() if path.startswith(".work/")}
    for path in list(changed)[::2]:
        (tmp_path / path).unlink()

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    code, out = at_work(tmp_path, folder=tmp_path, preexec_fn=limited)
    assert code == 1 and "grows larger than a file may be here" in sentence(out) and "/.work/faults/" in sentence(out)
    assert digests(tmp_path / "data") == undisturbed and not temporaries(tmp_path)


WRITERS = {
    "python": lambda path: path.write_bytes(bytes(ROOM)),
    "pyarrow": lambda path: pq.write_table(table(list(ITEMS)), path),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_device_without_space_is_one_sentence_and_the_old_outs_stay(writer, undisturbed, tmp_path):
    """The device that every Linux has for it, so that an error of the system is met where nothing may be mounted."""
    work(tmp_path)
    before, out = digests(tmp_path), tmp_path / "data/counterparts"
    with pytest.raises(OSError) as full, replacing_folder(out) as folder:
        (folder / "whole").write_bytes(b"new")
        (folder / "torn").symlink_to("/dev/full")
        WRITERS[writer](folder / "torn")
    assert files.fault(full.value) == f"there is no space left for {out}; make room and run again, what is finished is kept"
    assert digests(tmp_path) == before and not temporaries(tmp_path)


@pytest.mark.parametrize("failing", ["write", "fsync", "rename"])
def test_a_write_that_fails_leaves_the_old_outs_and_nothing_else(failing, undisturbed, tmp_path, monkeypatch):
    work(tmp_path)
    assert digests(tmp_path / "data") == undisturbed
    write_bytes(tmp_path / "data/manifest.json", b"old")
    before = digests(tmp_path)

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    rename = os.rename
    broken = {
        "write": lambda: monkeypatch.setattr(Path, "write_bytes", full),
        "fsync": lambda: monkeypatch.setattr(files.os, "fsync", full),
        "rename": lambda: monkeypatch.setattr(
            files.os, "rename", lambda a, b: full() if b == out and not str(a).endswith(".old.tmp") else rename(a, b)
        ),
    }[failing]
    with monkeypatch.context():
        out = tmp_path / "data/counterparts"
        broken()
        with pytest.raises(OSError, match="No space left") as first, replacing_folder(out) as folder:
            (folder / "new").open("wb").write(b"new")
            (folder / "more").write_bytes(b"more")
        assert files.fault(first.value) == f"there is no space left for {out}; make room and run again, what is finished is kept"
        if failing != "rename":
            with pytest.raises(OSError, match="No space left"):
                WorkStore(tmp_path / ".work", "faults").put("0" * 64, table(list(ITEMS)[:1]))
        monkeypatch.undo()
    assert digests(tmp_path) == before
    work(tmp_path)
    assert digests(tmp_path / "data") == undisturbed


@pytest.mark.parametrize("what", ["outs", "store"])
def test_a_read_only_file_system_is_one_sentence(what, mounted, tmp_path):
    disk = mounted("size=1m,ro")
    project = tmp_path / "project"
    project.mkdir()
    (project / "data").symlink_to(disk)
    code, out = at_work(*((project,) if what == "outs" else (project, disk / ".work")), folder=tmp_path)
    assert code == 1
    if what == "outs":
        assert "counterparts lies on a read-only file system; make it writable or work elsewhere" in sentence(out)
    else:
        assert sentence(out) == f"error: work: nothing can be written to '{disk}/.work' (Read-only file system); " + (
            "make it writable or name another folder"
        )
    assert not temporaries(project)


@pytest.mark.parametrize("what", ["outs", "store"])
def test_a_folder_one_may_not_write_is_one_sentence(what, tmp_path, monkeypatch):
    project = Path("ein Ordner – 写真")
    locked = project / ("data" if what == "outs" else "store")
    (tmp_path / locked).mkdir(parents=True)
    if os.geteuid() == 0:  # modes mean nothing to root, so the run is made somebody else's
        (tmp_path / project).chmod(0o777)
        tmp_path.chmod(0o777)
        monkeypatch.setenv("NOBODY", "1")
    (tmp_path / locked).chmod(0o555)
    code, out = at_work(project, *([locked] if what == "store" else []), folder=tmp_path)
    (tmp_path / locked).chmod(0o755)
    assert code == 1, out
    outs, store = f"{locked}/counterparts may not be read or written; change its permissions", f"to '{locked}' (Permission denied)"
    assert {"outs": outs, "store": store}[what] in sentence(out)
    assert not temporaries(tmp_path / project) and not list((tmp_path / locked).iterdir())


def test_two_runs_at_once_fill_one_store_and_write_the_same_outs(undisturbed, tmp_path):
    store = tmp_path / "ein Speicher – 写真"
    folders = [tmp_path / name for name in ("one", "two", "two")]  # the second and third even write the same outs
    for folder in folders:
        folder.mkdir(exist_ok=True)
    running = [stage("", str(folder), str(store), folder=tmp_path, program=("-c", AT_WORK)) for folder in folders]
    for code, out in map(ended, running):
        assert code == 0 and "damaged" not in out, out
    assert digests(folders[0] / "data") == digests(folders[1] / "data") == undisturbed
    assert not temporaries(tmp_path) and len(digests(store)) == len({Path(p).name for p in digests(store)}) == 21


def test_what_another_run_is_writing_is_no_leftover(tmp_path):
    out = tmp_path / "out"
    with replacing_folder(out) as first:
        (first / "file").write_text("first")
        with replacing_folder(out) as second:
            (second / "file").write_text("second")
            assert first.exists()
        assert (out / "file").read_text() == "second"
    assert (out / "file").read_text() == "first" and temporaries(tmp_path) == []
    (tmp_path / ".out.killed.tmp").mkdir()
    (tmp_path / ".out.killed.tmp" / "half").write_text("half")
    with replacing_file(out / "file"), pytest.raises(RuntimeError), replacing_folder(out):
        raise RuntimeError
    assert temporaries(tmp_path) == [], "what a killed run left is gone at the next"


def test_a_store_that_is_a_file_is_named_with_its_key(tmp_path):
    (tmp_path / "work").write_text("")
    with pytest.raises(UserError, match=r"^work: nothing can be written to '.*work' \(.*\); make it writable or name another folder$"):
        WorkStore(tmp_path / "work", "generate")


def test_an_interrupted_run_ends_with_a_line(tmp_path):
    program = (
        "import stages.run\nstages.run.load_params = lambda: None\ndef main(params):\n    raise KeyboardInterrupt\nstages.run.run(main)"
    )
    code, out = ended(stage("", folder=tmp_path, program=("-c", program)))
    assert code == 130 and out == "interrupted; run again to go on, what is finished is kept\n"


def test_other_errors_of_the_system_keep_their_traceback(tmp_path):
    program = "import stages.run\nstages.run.load_params = lambda: None\nstages.run.run(lambda params: open('is not there'))"
    code, out = ended(stage("", folder=tmp_path, program=("-c", program)))
    assert code == 1 and "Traceback" in out and sys.executable not in out.splitlines()[-1]
