"""What every block of params.yaml has in common."""

from __future__ import annotations

import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


class Strict(BaseModel):
    """A block of parameters: unknown keys are refused, values are not coerced from other types, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


def _as_text(value: object) -> object:
    return value.isoformat() if type(value) is datetime.date else value  # YAML reads an unquoted date as one


def _date(value: str | None) -> str | None:
    try:
        known = value is None or datetime.date.fromisoformat(value).isoformat() == value
    except ValueError:
        known = False
    if not known:
        raise ValueError(f"{value!r} is no date; write YYYY-MM-DD")
    return value


ReleaseDate = Annotated[str | None, BeforeValidator(_as_text), AfterValidator(_date)]
"""YYYY-MM-DD, or None where it is not known."""
