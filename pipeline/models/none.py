"""No model: captions come from a table, or whatever would use one is switched off."""

from __future__ import annotations

from pipeline.files import write_json
from pipeline.schema import Strict
from pipeline.training.job import Job

SHOWN = False


class Settings(Strict):
    """Nothing to set."""


def make(job: Job) -> dict[str, float]:
    write_json(job.folder / "none.json", "no model is needed here")
    return {"gigabytes": 0.0}


def seen_groups(job: Job) -> list[str]:
    return []
