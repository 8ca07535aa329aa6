"""Kinds are modules: a package lists its kinds by the names of its modules."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def kinds(package: ModuleType) -> tuple[str, ...]:
    return tuple(sorted(info.name for info in pkgutil.iter_modules(package.__path__)))


def kind_module(package: ModuleType, kind: str) -> ModuleType:
    return importlib.import_module(f"{package.__name__}.{kind}")
