"""What every block of params.yaml has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A block of parameters: unknown keys are refused, values are not coerced from other types, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())
