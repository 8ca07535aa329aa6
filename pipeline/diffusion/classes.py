"""Which pipeline class a folder is for, and whether it takes the arguments it will be given.

Asked before any weights are read: several pipelines swallow unknown arguments silently, and loading takes minutes.
"""

from __future__ import annotations

import ast
import inspect
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

TEXT_TO_IMAGE, IMAGE_TO_IMAGE = "AUTO_TEXT2IMAGE_PIPELINES_MAPPING", "AUTO_IMAGE2IMAGE_PIPELINES_MAPPING"
"""diffusers' own mappings for its Auto classes."""


def index_of(folder: Path) -> dict[str, Any]:
    """The folder's model_index.json. Raises UserError where there is none."""
    try:
        return json.loads((folder / "model_index.json").read_text())
    except FileNotFoundError:
        raise UserError(f"{folder} holds no diffusers pipeline (no model_index.json); give the folder or id of one") from None


def components(index: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """{component: (library, class)} of those that are there; [null, null] in the index means none on purpose."""
    return {name: tuple(value) for name, value in index.items() if isinstance(value, list) and value[0] is not None}


def pipeline_class(folder: Path, mode: str) -> type:
    """The diffusers class that makes `mode` from this folder's components.

    Raises UserError where the installed diffusers has no such class, or the folder would bring code of its own.
    """
    import diffusers

    index = index_of(folder)
    name = index.get("_class_name")
    _refuse_foreign_code(folder, name, index)
    base = getattr(diffusers, name, None)
    if not (isinstance(base, type) and issubclass(base, diffusers.DiffusionPipeline)):
        raise UserError(f"{folder}: the installed diffusers {diffusers.__version__} has no pipeline {name}; upgrade diffusers")
    if mode != "image-to-image":
        return base
    from pipeline.diffusion import from_photograph

    found = _image_to_image(name)
    if found is None and name in from_photograph.ENCODERS:
        return base
    if found is None:
        raise UserError(
            f"{name} has no image-to-image counterpart in diffusers {diffusers.__version__}; use text-to-image or reconstruction"
        )
    return found


def _refuse_foreign_code(folder: Path, name: Any, index: dict[str, Any]) -> None:
    """Raise UserError where an index names a class that is neither of diffusers nor of transformers.

    Loading would import a module of that name, or run a file of the folder where it were told to trust it.
    """
    from diffusers import pipelines

    foreign = [] if isinstance(name, str) else [("_class_name", name)]
    for part, named in index.items():
        if isinstance(named, list) and named[:1] != [None] and part != "_class_name":
            library = named[0] if len(named) == 2 and all(isinstance(word, str) for word in named) else None
            own = library is not None and (folder / part / f"{library}.py").exists()
            if own or not (library in ("diffusers", "transformers") or (library and hasattr(pipelines, library))):
                foreign.append((part, named))
    for part, named in foreign:
        raise UserError(
            f"{folder}/model_index.json: {part} names {named!r}, which is code of its own and never run; "
            "take a model whose classes are in diffusers and transformers"
        )


def _image_to_image(name: str) -> type | None:
    """The class diffusers pairs with a text-to-image class, where it starts from the photograph with a strength."""
    import diffusers

    pairs = auto_pairs()
    for key, text_class in pairs[TEXT_TO_IMAGE].items():
        paired = pairs[IMAGE_TO_IMAGE].get(key)
        if paired and name in (text_class, paired) and "strength" in call_arguments(getattr(diffusers, paired)):
            return getattr(diffusers, paired)
    return None


def auto_pairs() -> dict[str, dict[str, str]]:
    """{mapping: {kind of model: class name}}: diffusers' own mappings for its Auto classes.

    Read from their source where it is written as it is now: importing them imports every pipeline there is, which takes as
    long as all else a stage imports.
    """
    found = _written_pairs(Path(find_spec("diffusers.pipelines.auto_pipeline").origin).read_text(encoding="utf-8"))
    if found.get(TEXT_TO_IMAGE) and found.get(IMAGE_TO_IMAGE):
        return found
    from diffusers.pipelines import auto_pipeline

    return {name: {key: cls.__name__ for key, cls in getattr(auto_pipeline, name).items()} for name in (TEXT_TO_IMAGE, IMAGE_TO_IMAGE)}


def _written_pairs(source: str) -> dict[str, dict[str, str]]:
    """The mappings that a source writes as OrderedDict([(key, class), ...]), without any that it writes otherwise."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign([ast.Name(mapping)], ast.Call(ast.Name("OrderedDict"), [ast.List(entries)])):
                pairs = [(entry.elts[0].value, entry.elts[1].id) for entry in entries if _is_pair(entry)]
                if len(pairs) == len(entries):
                    found[mapping] = dict(pairs)
            case ast.Assign([ast.Subscript(ast.Name(mapping), ast.Constant(key))], ast.Name(cls)) if mapping in found:
                found[mapping][key] = cls
    return found


def _is_pair(entry: ast.expr) -> bool:
    match entry:
        case ast.Tuple([ast.Constant(), ast.Name()]):
            return True
    return False


def call_arguments(cls: type) -> dict[str, inspect.Parameter]:
    return _named(cls.__call__)


def load_arguments(cls: type) -> dict[str, inspect.Parameter]:
    return _named(cls.__init__)


def check_arguments(cls: type, given: dict[str, Any], known: dict[str, inspect.Parameter], key: str) -> None:
    """Raise UserError naming the first argument that `cls` does not take."""
    for name in given:
        if name not in known:
            raise UserError(f"{key}: {cls.__name__} takes no {name!r}; it knows {', '.join(known)}")


def _named(function) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {name: p for name, p in parameters.items() if name != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
