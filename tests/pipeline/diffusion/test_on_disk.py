"""Text embeddings that wait on disk are the same embeddings, need one open file, and leave nothing behind."""

import errno
import gc
import os
import resource
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from pipeline.diffusion import on_disk as module
from pipeline.diffusion.on_disk import Disk, load
from pipeline.files import fault, replacing_folder

Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_tensors_of_any_kind_come_back_as_they_were(dtype, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    large = (torch.randn(3, 700, 64, generator=torch.Generator().manual_seed(0)) * 9).to(dtype)
    given = (large.transpose(0, 1), None, [large[:1, :1], {"ids": large[0]}], torch.zeros(0, 4, dtype=dtype), "text", Pair(large, 3))
    disk = Disk()
    kept = disk.keep(given)
    written = os.fstat(disk.file.fileno()).st_size
    assert written == 2 * large.nbytes + (large[0].nbytes if large[0].nbytes >= module.SMALL else 0), "what is small stays in memory"
    assert not list(tmp_path.iterdir()), "nothing has a name that a kill could leave behind"
    for found in (load(kept), load(kept)):
        assert found[1] is None and found[4] == "text" and found[3].shape == (0, 4) and isinstance(found[5], Pair)
        for back, was in ((found[0], given[0]), (found[2][0], given[2][0]), (found[2][1]["ids"], large[0]), (found[5].first, large)):
            assert back.dtype == dtype and back.shape == was.shape and torch.equal(back, was)
        found[0].zero_()  # who writes to them writes to a copy


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_hundreds_of_notes_need_one_open_file_which_goes_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "SMALL", 1)
    before, limits = open_files(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 64, limits[1]))
    try:
        disk = Disk()
        notes = [disk.keep((torch.full((2, 3), float(number)), None)) for number in range(400)]
        del disk
        assert all(torch.equal(load(note)[0], torch.full((2, 3), float(number))) for number, note in reversed(list(enumerate(notes))))
        assert open_files() == before + 1
        del notes[1:]
        gc.collect()
        assert torch.equal(load(notes[0])[0], torch.zeros(2, 3))
        notes.clear()
        gc.collect()
        assert open_files() == before
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        with pytest.raises(OSError) as too_many:
            Disk()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert too_many.value.errno == errno.EMFILE and str(tmp_path) in fault(too_many.value)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "there is no space left for temporary files in {}; make room and run again, what is finished is kept"),
        (errno.EMFILE, "too many files are open for temporary files in {} to be another; raise the limit (ulimit -n), then run again"),
    ],
)
def test_a_full_disk_is_one_sentence_that_names_the_folder(monkeypatch, tmp_path, number, sentence):
    monkeypatch.chdir(tmp_path)

    class Full:
        def __init__(self, **named):
            if number == errno.EMFILE:
                raise OSError(number, os.strerror(number), "./tmp")

        def seek(self, *where):
            return 0

        def close(self):
            pass

        def write(self, data):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.tempfile, "TemporaryFile", Full)
    with pytest.raises(OSError) as alone:
        Disk().keep(torch.zeros(module.SMALL))
    assert fault(alone.value) == sentence.format(tmp_path)
    with pytest.raises(OSError) as beside, replacing_folder(Path("generated")):
        Disk().keep(torch.zeros(module.SMALL))
    assert fault(beside.value) == sentence.format(tmp_path)


def test_a_write_of_a_part_goes_on_with_the_rest(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    disk = Disk()
    real = disk.file

    class Little:
        def __getattr__(self, name):
            return getattr(real, name)

        def write(self, data):
            return real.write(data[:50_000])

        def readinto(self, data):
            return real.readinto(data[:70_000])

    disk.file = Little()
    given = [torch.randn(40_000), torch.randn(3, 30_000)]
    assert all(torch.equal(found, was) for found, was in zip(load(disk.keep(given)), given, strict=True))
