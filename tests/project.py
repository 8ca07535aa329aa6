"""A DVC project in a temporary folder, driven through the dvc command as a user would."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.ready import ready_python

ROOT = Path(__file__).parents[1]
CONFIGURATION = (".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore")


class Project:
    """The pipeline at `profile` (a folder of the project, "." at the root), with parameters of the test's own."""

    def __init__(self, folder: Path, params: dict, profile: str = "."):
        self.top, self.folder, self.params = folder, folder / profile, params
        self.target = [] if profile == "." else [f"{profile}/dvc.yaml"]
        (folder / ".dvc").mkdir(parents=True)
        for name in CONFIGURATION:
            shutil.copy(ROOT / name, folder / name)
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "dvc.yaml", self.folder / "dvc.yaml")
        self.write()

    def write(self) -> None:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params, sort_keys=False))

    def commit(self, message: str) -> None:
        if not (self.top / ".git").exists():
            self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
        subprocess.run(["git", *identity, *arguments], cwd=self.top, check=True, capture_output=True)

    def start(self, *arguments: str, python: Path = Path(sys.executable)) -> subprocess.Popen:
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [python, "-m", "dvc", *arguments],
            cwd=self.top,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def dvc(self, *arguments: str, fails: bool = False) -> str:
        process = self.start(*arguments, python=ready_python())
        out, _ = process.communicate()
        assert (process.returncode != 0) == fails, out[-4000:]
        return out

    def repro(self, *arguments: str) -> set[str]:
        """Run the pipeline; the names of the stages that really ran (not those restored from the run cache)."""
        return stages(self.dvc("repro", *arguments, *self.target))

    def forget(self, out: str) -> None:
        """Take an out from DVC's cache, as if its stage had never ended; else DVC restores it instead of running the stage."""
        cache = self.top / ".dvc/cache"
        shutil.rmtree(cache / "runs", ignore_errors=True)
        lock = yaml.safe_load((self.folder / "dvc.lock").read_text())
        (md5,) = {entry["md5"] for stage in lock["stages"].values() for entry in stage.get("outs", []) if entry["path"] == out}
        (cache / "files/md5" / md5[:2] / md5[2:]).unlink()

    def digests(self, *names: str) -> dict[str, str]:
        files = [p for name in names for p in [*sorted((self.folder / name).rglob("*")), self.folder / name] if p.is_file()]
        return {str(p.relative_to(self.folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    def finished(self, kind: str) -> list[Path]:
        """The entries of one kind in the work store."""
        store = self.folder / self.params["work"] / kind
        return [path for path in store.rglob("*") if path.is_file() and not path.name.endswith(".tmp")] if store.exists() else []


def stages(out: str) -> set[str]:
    """Short names of the stages a log says were run: without the file they stand in."""
    return {name.rpartition(":")[2] for name in re.findall(r"Running stage '([^']+)'", out)}
