"""Damaged Parquet files: found by their checksums, named with what brings them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from pipeline.errors import UserError
from pipeline.yamlfile import read_yaml

LOCK = Path("dvc.lock")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Inside, what pyarrow says of a damaged file becomes a UserError that names it; errors of the file system stay."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        detail = " ".join(str(error).split())
        raise UserError(f"{path} is damaged ({detail.rstrip('.')}); {_remedy(path)}") from error


def _remedy(path: Path) -> str:
    """What makes a file anew, by what DVC recorded of the stage it came from."""
    for stage, out in _recorded():
        if path == Path(out) or Path(out) in path.parents:
            return f"delete {out} and run dvc checkout {out}, or make it again with dvc repro --force {stage}"
    return "put a sound copy in its place or make it again"


def _recorded() -> list[tuple[str, str]]:
    """Every stage with each of its outs; none where the record itself is missing, torn or half merged."""
    try:
        return [(stage, str(out["path"])) for stage, record in read_yaml(LOCK)["stages"].items() for out in record.get("outs", [])]
    except (FileNotFoundError, UserError, LookupError, TypeError, AttributeError):
        return []
