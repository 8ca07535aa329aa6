"""A Python that has everything imported: what a test starts as `python -m <module>` is forked from it and begins at once.

Only that is saved: each run is still a process of its own, in its own folder, with its own environment, files and exit code.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTED = (
    "dvc.cli.parser",
    "dvc.repo",
    "dvc.stage.utils",
    "torchvision.transforms.v2",
    "transformers.models.clip.modeling_clip",
    "transformers.models.blip.modeling_blip",
    "diffusers.pipelines.auto_pipeline",
    "open_clip",
    "sklearn.linear_model",
    "scipy.signal",
    "datasets",
    "matplotlib.pyplot",
    "skimage.data",
    "jinja2",
)
"""What takes the stages, and DVC, seconds to import."""
ASK = """#!{python} -ISE
import json, os, socket, sys
if len(sys.argv) < 3 or sys.argv[1] != "-m":
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as ready:
    ready.connect({address!r})
    words = json.dumps([os.getcwd(), dict(os.environ), sys.argv[2:]]).encode()
    socket.send_fds(ready, [len(words).to_bytes(4, "big")], [0, 1, 2])
    ready.sendall(words)
    sys.exit(int(ready.recv(16) or b"-9"))
"""


@cache
def ready_python() -> Path:
    """A `python` that asks the ready one, which is started once in each test process."""
    folder = Path(tempfile.mkdtemp(prefix="ready-"))  # the address of a socket must be short
    environment = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-m", "tests.ready", str(folder / "socket")]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.kill)
    assert server.stdout.readline(), "the ready Python did not start"
    asking = folder / "bin/python"
    asking.parent.mkdir()
    asking.write_text(ASK.format(python=sys.executable, address=str(folder / "socket")))
    asking.chmod(asking.stat().st_mode | stat.S_IXUSR)
    return asking


def serve(address: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in IMPORTED:
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            asked, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(asked)
            asked.close()


def _answer(asked: socket.socket) -> None:
    """Run what was asked for in a child, and tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, files, _, _ = socket.recv_fds(asked, 4, 3)
    left, words = int.from_bytes(length, "big"), b""
    while len(words) < left:
        words += asked.recv(left - len(words))
    child = os.fork()
    if child == 0:
        asked.close()
        _live(files, *json.loads(words))
    for file in files:
        os.close(file)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(OSError):
        asked.sendall(str(code).encode())
    os._exit(0)


def _live(files: list[int], folder: str, environment: dict[str, str], words: list[str]) -> None:
    code = 1
    try:
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = words
        sys.path[0] = folder
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
