"""Model folders that bring code of their maker's are refused before anything of them is loaded.

Weights are data, but a configuration can ask the libraries to import a module that lies beside it, or to trust one: where
nobody says no they ask on the terminal, and some settings pass straight through.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

KEYS = ("auto_map", "trust_remote_code")
"""What names a class of the folder's own (transformers, diffusers), or allows one (open_clip's `tokenizer_kwargs`)."""


def refuse_code(folder: Path) -> None:
    """Raise UserError naming the configuration of a model folder, or of a component in it, that asks for its maker's code.

    A configuration that cannot be read is left to what loads it.
    """
    for path in sorted([*folder.glob("*config.json"), *folder.glob("*/*config.json")]):
        try:
            asked = _asked(json.loads(path.read_bytes()))
        except (ValueError, RecursionError):
            continue
        if asked:
            raise UserError(
                f"{path} asks for code of its maker's ({asked}), which is never run here; choose a model of a class that the "
                f"installed library has, or, if this is one, remove {asked} from a copy of the folder"
            )


def _asked(value: Any) -> str | None:
    if isinstance(value, list):
        return next(filter(None, map(_asked, value)), None)
    if not isinstance(value, dict):
        return None
    return next((key for key in KEYS if value.get(key)), None) or _asked(list(value.values()))
