"""Versions: the lower bounds are those that were run, the lock holds what was tested, and imports are declared."""

import ast
import importlib.metadata
import re
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.project import ROOT

OURS = {"pipeline", "detector", "stages"}
MODULES = {
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "open-clip-torch": "open_clip",
    "huggingface-hub": "huggingface_hub",
}
"""Distributions whose module has another name."""
NEVER_IMPORTED = {
    "dvc": "the command that runs the stages",
    "ruamel-yaml-clib": "DVC reads YAML with it, where it is there",
    "torchvision": "open_clip preprocesses with it",
    "sporco": "photographs lie in it",
    "glymur": "photographs lie in it",
}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def dependencies() -> dict[str, Requirement]:
    """What running needs, and testing; `dev` adds tools that no result depends on."""
    found = [Requirement(line) for line in (*project()["dependencies"], *project()["optional-dependencies"]["test"])]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def pinned(file: str) -> dict[str, Version]:
    lines = [line for line in (ROOT / file).read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( ; sys_platform == \"linux\")?", line) for line in lines), "a name and a version a line"
    assert lines == sorted(lines, key=str.lower) and len(set(lines)) == len(lines)
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name): Version(next(iter(one.specifier)).version) for one in found}


def lowest_allowed(requirement: Requirement) -> Version:
    (bound,) = requirement.specifier
    assert bound.operator == ">=", f"{requirement.name}: one lower bound and nothing else"
    return Version(bound.version)


def test_the_lower_bounds_are_the_versions_that_were_run():
    assert {name: lowest_allowed(requirement) for name, requirement in dependencies().items()} == pinned("tests/lowest.txt")


def test_the_lock_holds_every_dependency_at_a_version_that_is_allowed():
    locked = pinned("constraints.txt")
    assert {name for name, requirement in dependencies().items() if not requirement.specifier.contains(locked.get(name, "0"))} == set()
    assert "synthclic" not in locked


@pytest.mark.parametrize("file", ["constraints.txt", "tests/lowest.txt"])
def test_no_lock_names_a_place(file):
    text = (ROOT / file).read_text()
    assert "://" not in text and not re.search(r"(^|[\s=])[~/]", text, re.MULTILINE)


def test_what_is_installed_is_allowed():
    installed = {name: importlib.metadata.version(name) for name in dependencies()}
    assert {n: version for n, version in installed.items() if not dependencies()[n].specifier.contains(version, prereleases=True)} == {}


def test_development_tools_have_a_lower_bound():
    tools = [Requirement(line) for line in project()["optional-dependencies"]["dev"]]
    assert all(tool.specifier for tool in tools if tool.name != project()["name"])


def imported() -> set[str]:
    """Top-level modules that the code imports anywhere, inside functions too; neither ours nor Python's own."""
    found = set()
    for path in (path for folder in OURS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
    return found - OURS - sys.stdlib_module_names


def test_every_import_is_declared_and_every_declaration_is_needed():
    declared = {canonicalize_name(Requirement(line).name) for line in project()["dependencies"]}
    modules = {MODULES.get(name, name) for name in declared - NEVER_IMPORTED.keys()}
    assert imported() == modules
    assert NEVER_IMPORTED.keys() <= declared
