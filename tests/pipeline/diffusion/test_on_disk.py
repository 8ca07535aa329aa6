"""Text embeddings that wait on disk are the same embeddings, and leave nothing behind."""

import errno
import os
from tempfile import TemporaryFile

import pytest
import torch

from pipeline.diffusion import on_disk as module
from pipeline.diffusion.on_disk import on_disk


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_tensors_of_any_kind_come_back_as_they_were(dtype, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    large = (torch.randn(3, 700, 64, generator=torch.Generator().manual_seed(0)) * 9).to(dtype)
    given = (large.transpose(0, 1), None, [large[:1, :1], {"ids": large[0]}], torch.zeros(0, 4, dtype=dtype), "text")
    files: list[int] = []
    monkeypatch.setattr(module.tempfile, "TemporaryFile", lambda **named: files.append(1) or TemporaryFile(**named))  # noqa: SIM115
    found = on_disk(given)
    assert found[1] is None and found[4] == "text" and found[3].shape == (0, 4)
    for kept, was in ((found[0], given[0]), (found[2][0], given[2][0]), (found[2][1]["ids"], large[0])):
        assert kept.dtype == dtype and kept.shape == was.shape and torch.equal(kept, was)
    assert len(files) == 2 - (large[0].nbytes < module.SMALL), "what is small stays in memory"
    assert not list(tmp_path.iterdir()), "nothing has a name that a kill could leave behind"


def test_a_full_disk_is_the_systems_own_error(monkeypatch, tmp_path):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(OSError, match="No space"):
        on_disk(torch.zeros(module.SMALL))
