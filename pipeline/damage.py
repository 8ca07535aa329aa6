"""Damaged Parquet files: found by their checksums, named with what brings them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import yaml

from pipeline.errors import UserError

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
    stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"] if LOCK.is_file() else {}
    for stage, record in stages.items():
        for out in record.get("outs", []):
            if path == Path(out["path"]) or Path(out["path"]) in path.parents:
                return f"delete {out['path']} and run dvc checkout {out['path']}, or make it again with dvc repro --force {stage}"
    return "put a sound copy in its place or make it again"
