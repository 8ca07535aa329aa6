"""What is wrong with parameters, as one sentence: the key, what it holds, the remedy."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError

from pipeline.schema import Strict


class KeyedError(ValueError):
    """A fault whose key lies below the block being checked."""

    def __init__(self, key: str, message: str):
        super().__init__(message)
        self.key = key


def nested(key: str | None, block: type[Strict], value: Any) -> Strict:
    """`value` as `block`; its first fault gets `key` in front. Raises KeyedError."""
    try:
        return block.model_validate(value)
    except ValidationError as error:
        where, _, message = fault_of(error, block).partition(": ")
        raise KeyedError(".".join(part for part in (key, where) if part), message) from None


def fault_of(error: ValidationError, block: type[Strict]) -> str:
    """`key: what is wrong; the remedy`, for the first fault of a pydantic error."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"] if part != "[key]"]
    cause = (first.get("ctx") or {}).get("error")
    if isinstance(cause, KeyedError):
        location += [part for part in cause.key.split(".") if part]
    key = ".".join(location)
    if first["type"] == "missing":
        return f"{key}: is missing; add it"
    if first["type"] == "extra_forbidden":
        siblings = _fields_at(block, location[:-1])
        hint = difflib.get_close_matches(location[-1], siblings, n=1)
        remedy = f"did you mean {hint[0]!r}?" if hint else "remove it" + (f" (known here: {', '.join(siblings)})" if siblings else "")
        return f"{key}: is not a parameter; {remedy}"
    message = str(cause) if cause is not None else first["msg"][0].lower() + first["msg"][1:]
    value = first["input"]
    shown = "" if cause is not None or isinstance(value, dict | list) else f" (got {value!r})"
    return f"{key}: {message}{shown}"


def _fields_at(block: Any, location: list[str]) -> list[str]:
    """The field names of the block that `location` leads to, as far as static types tell."""
    for part in location:
        field = getattr(block, "model_fields", {}).get(part)
        if field is not None:
            arguments = getattr(field.annotation, "__args__", ())
            block = arguments[-1] if arguments and getattr(field.annotation, "__origin__", None) is dict else field.annotation
            block = getattr(block, "__origin__", block) if not hasattr(block, "model_fields") else block
    return list(getattr(block, "model_fields", {}))
