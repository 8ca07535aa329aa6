"""data/provenance/<stage>.json: what an artefact was made by, from what a stage declares in dvc.yaml and what ran it.

It lies beside the artefacts and not in them: what a stage made is compared by content, and a comment in its code or a new
version of a library that changes no result must not re-run everything after it. dvc.lock holds the hashes of inputs and
outs. Items that an earlier run left in the work store have keys of their own, which hold what made them.
"""

from __future__ import annotations

import platform
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.dag import DAG, declared, parameter
from pipeline.files import write_json
from pipeline.fingerprints import file_sha256, files_fingerprint
from pipeline.weights import identity
from pipeline.yamlfile import read_yaml

FOLDER, MODELS = Path("data/provenance"), Path("data/models")
CODE = ("pipeline", "detector", "stages")


def record_provenance(module: str, arguments: list[str]) -> None:
    """Write the provenance of the stage that `python -m <module> <arguments>` is; nothing where dvc.yaml has no such stage.

    stage, outs; parameters {name: value}, the base seed among them; code: the project's version and a SHA-256 over all of
    its code; models {path: id and revision}, those it reads and the one it makes; device; python, machine and the version of
    every library that the project asks for. It holds neither times nor paths of the machine: the same run gives the same bytes.
    """
    if not DAG.is_file():
        return
    params = read_yaml(Path("params.yaml"))
    stage = declared(" ".join(("python", "-m", module, *arguments)), params)
    place = stage and FOLDER / f"{stage.name}.json"
    if stage is None or place.as_posix() not in stage.outs:
        return
    root = Path(params["root"])
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    libraries = [re.match(r"[\w.-]+", requirement)[0] for requirement in project["dependencies"]]
    write_json(
        place,
        {
            "stage": stage.name,
            "outs": [path for path in stage.outs if path != place.as_posix()],
            "parameters": {name: parameter(params, name) for name in stage.params},
            "code": {"version": project["version"], "sha256": files_fingerprint(_code(root))},
            "models": {path: _model(Path(path)) for path in (*stage.deps, *stage.outs) if Path(path).is_relative_to(MODELS)},
            "device": _device(),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "libraries": {name: version(name) for name in sorted(libraries)},
        },
    )


def _code(root: Path) -> dict[str, str]:
    """{path seen from the root: SHA-256} of the project's code."""
    files = [path for folder in CODE for path in (root / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(root).as_posix(): file_sha256(path) for path in files}


def _model(folder: Path) -> dict[str, Any]:
    name, revision = identity(folder)
    return {"id": name, "revision": revision}


def _device() -> str:
    """A stage that never asked for torch cannot have used anything but the CPU."""
    if "torch" not in sys.modules:
        return "cpu"
    from pipeline.processes import device_name

    return device_name()
