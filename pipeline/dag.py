"""What dvc.yaml declares of the stage that is running: its name, parameters, inputs, code and outs.

DVC knows it too, but a stage is a process of its own, and importing DVC costs each of them a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

DAG = Path("dvc.yaml")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where the library was built with it, which takes an eighth of the time; the file is ours, DVC has read it before."""
_PLACE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Declared:
    """One stage as `dvc repro` sees it, with every `${...}` filled in; `params` are dotted names, the others paths."""

    name: str
    params: list[str]
    deps: list[str]
    outs: list[str]


def declared(command: str, params: Mapping[str, Any], dag: Path = DAG) -> Declared | None:
    """The stage that `command` runs (`python -m stages.generate sdxl`), or None where no stage of the file has it."""
    stages = _Loader(dag.read_text(encoding="utf-8")).get_single_data()["stages"]
    for name, stage, context in _instances(stages, params):
        if _filled(stage["cmd"], context) == command:
            listed = {key: [_filled(path, context) for path in _paths(stage.get(key, []))] for key in ("params", "deps", "outs", "metrics")}
            return Declared(name, listed["params"], listed["deps"], listed["outs"] + listed["metrics"])
    return None


def parameter(params: Mapping[str, Any], name: str) -> Any:
    """The value under a dotted name."""
    return reduce(lambda block, key: block[key], name.split("."), params)


def _instances(stages: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[tuple[str, dict, dict]]:
    """(name, block, context) of every stage; a group has one for each entry of the mapping it goes over."""
    for name, stage in stages.items():
        if "foreach" not in stage:
            yield name, stage, dict(params)
            continue
        entries = parameter(params, _PLACE.fullmatch(stage["foreach"])[1])
        for key, item in entries.items():
            yield f"{name}@{key}", stage["do"], {**params, "key": key, "item": item}


def _paths(entries: list) -> list[str]:
    """An entry is a name, or a name with settings of its own."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def _filled(text: str, context: Mapping[str, Any]) -> str:
    return _PLACE.sub(lambda match: str(parameter(context, match[1])), text)
