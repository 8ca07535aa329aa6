"""A scratch project for the DAG's benchmark: made-up pictures, real `dvc repro`, and a record of what ran and what DVC hashed.

Every stage is started through a small program that notes when it begins and ends and keeps its log, Python's own record of
imports among it; DVC through another, which notes each file whose contents it reads to hash them.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from pipeline.store import WorkStore
from tests.ready import ready_python

ROOT = Path(__file__).parents[1]
COPIED = (".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore", "dvc.yaml", "profiles")
STAGE = """#!{python} -ISE
import os, sys, time
log = "{logs}/%d.txt" % time.time_ns()
os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
os.environ["PYTHONPROFILEIMPORTTIME"] = "1"
begun = time.time()
code = os.spawnv(os.P_WAIT, "{python}", ["{python}", *sys.argv[1:]])
with open("{logs}/stages", "a") as file:
    file.write("%f %f %s %s\\n" % (begun, time.time(), log, " ".join(sys.argv[2:])))
sys.exit(code)
"""
DVC = """
import sys
from dvc_data.hashfile import hash as hashing
whole = hashing.file_md5
def noted(path, *arguments, **named):
    with open("{logs}/hashed", "a") as file:
        file.write("%s\\n" % path)
    return whole(path, *arguments, **named)
hashing.file_md5 = noted
from dvc.cli import main
sys.exit(main())
"""
_IMPORT = re.compile(r"import time:\s+(\d+) \|")


@dataclass(frozen=True)
class Stage:
    """One stage that ran: its command's words (`features sdxl`), seconds of its process, of these importing, and its log."""

    name: str
    seconds: float
    imports: float
    log: str

    @property
    def kind(self) -> str:
        return self.name.partition(" ")[0]


@dataclass(frozen=True)
class Run:
    """One `dvc repro`: its seconds, the stages that ran in their order, and the files whose contents DVC hashed, as they lie."""

    seconds: float
    stages: list[Stage]
    hashed: list[str]

    @property
    def overhead(self) -> float:
        """Seconds in which no stage was running: DVC itself."""
        return self.seconds - sum(stage.seconds for stage in self.stages)


class Scratch:
    """The default DAG in `folder`, beside the other profiles as in the repository, with parameters of its own."""

    def __init__(self, folder: Path, params: dict):
        self.folder, self.params, self.logs = folder, params, folder.with_name(f"{folder.name}.logs")
        (folder / ".dvc").mkdir(parents=True)
        self.logs.mkdir()
        for name in COPIED:
            place = ROOT / name
            (shutil.copytree if place.is_dir() else shutil.copy)(place, folder / name)
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        self.write()
        python = self.logs / "bin/python"
        python.parent.mkdir()
        python.write_text(STAGE.format(python=sys.executable, logs=self.logs))
        python.chmod(0o755)
        (self.logs / "noting.py").write_text(DVC.format(logs=self.logs))

    def write(self) -> None:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params, sort_keys=False))

    def build(self, *targets: str) -> None:
        """Run the stages as the tests do, from a Python that has everything imported: what is measured comes after this."""
        self._dvc(ready_python().parent, "repro", *targets)

    def repro(self, *targets: str) -> Run:
        begun = time.perf_counter()
        self._dvc(self.logs / "bin", "repro", *targets)
        seconds = time.perf_counter() - begun
        return Run(seconds, self._ran(), (self.logs / "hashed").read_text().splitlines())

    def _dvc(self, python: Path, *words: str) -> None:
        """Raises RuntimeError with the ends of the logs."""
        for name in ("stages", "hashed"):
            (self.logs / name).write_text("")
        environment = {**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}"}
        command = [sys.executable, str(self.logs / "noting.py"), *words]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            logs = [stage.log[-3000:] for stage in self._ran()[-1:]]
            raise RuntimeError("\n".join([done.stdout[-2000:], done.stderr[-3000:], *logs]))

    def _ran(self) -> list[Stage]:
        return [_stage(line) for line in (self.logs / "stages").read_text().splitlines()]

    def lines_of_lock(self) -> int:
        return len((self.folder / "dvc.lock").read_text().splitlines())

    def bytes_of(self, hashed: list[str]) -> int:
        """How many bytes the files hold; what is gone by now (a name of an earlier run) counts nothing."""
        places = (self.folder / name for name in hashed)
        return sum(place.stat().st_size for place in places if place.is_file())

    def items(self, kind: str, paths: Iterable[str]) -> int:
        """Captions, counterparts or feature rows in those entries of the work store, a batch or a segment each, that are of `kind`."""
        store, found = WorkStore(self.folder / self.params["work"], kind), 0
        for path in (self.folder / name for name in paths):
            if path.is_relative_to(store.folder):
                segment = path.suffix == ".rows"  # which begins with the number of its rows
                found += int.from_bytes(path.read_bytes()[:8], "little") if segment else store.get(path.name).num_rows
        return found

    def files(self, *folders: str) -> dict[str, tuple[int, int]]:
        """{path seen from the project: (when it was written, in nanoseconds; its bytes)} of everything below `folders`."""
        found = (path for name in folders for path in (self.folder / name).rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}


def _stage(line: str) -> Stage:
    begun, ended, log, module, *words = line.split()
    lines = Path(log).read_text(errors="replace").splitlines()
    imports = sum(int(found[1]) for one in lines if (found := _IMPORT.match(one))) / 1e6
    own = "\n".join(one for one in lines if not one.startswith("import time:"))
    return Stage(" ".join((module.removeprefix("stages."), *words)), float(ended) - float(begun), imports, own)


def parameters(**changed) -> dict:
    """Those of the default profile with the evaluation as small as it may be, and `changed` blocks laid over it."""
    params = copy.deepcopy(yaml.safe_load((ROOT / "params.yaml").read_text()))
    params["root"] = str(ROOT)
    params["photographs"] |= {"kind": "folder", "source": "photographs", "name": "mine", "crops": None}
    params["clip"]["model"] |= {"steps": 12, "floor": 0.0}
    params["views"] = {"augmented": 1, "altered": {"jpeg": [50]}}
    params["detectors"]["folds"] = None
    params["detectors"]["orthogonal"]["max_iter"] = 5
    params["detectors"]["concept"]["max_steps"] = 5
    params["evaluation"] |= {"bootstrap": 100, "projections": [2], "new_pairs": [0, 10], "choices": 1}
    params["rivals"]["clipdet"] |= {"pairs": [10], "draws": 1}
    params["rivals"]["univfd"] |= {"neighbours": [1]}
    params["rivals"]["robust_mlp"] |= {"epochs": 1}
    params["attribution"]["origin"] |= {"divisions": 1, "unknown": 1, "C": {"low": -1, "high": -1, "count": 1}, "neighbours": [1]}
    params["attribution"]["occ_clip"] |= {"shots": 4, "epochs": 2}
    params["benchmarks"] = {}
    return params | changed


def pictures(folder: Path, numbers: range, side: int, seed: int = 0) -> None:
    """Textures of side x side pixels as PNG, another for each number; another `seed` changes their grain and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        coarse = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), np.int16)
        grain = np.random.default_rng((seed, number)).integers(-12, 13, smooth.shape)
        Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(folder / f"p{number:06d}.png", compress_level=1)


def captions(path: Path, numbers: range) -> None:
    path.write_text("image_id,prompt\n" + "".join(f"p{number:06d},A photo of texture {number}\n" for number in numbers))
