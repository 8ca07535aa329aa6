"""Images that exist already, in place of a model: which ones, identified so that others can tell whether theirs are the same."""

from __future__ import annotations

from pipeline.files import write_json
from pipeline.imagesets import ImageSet
from pipeline.training.job import Job
from pipeline.weights import IMAGES, image_record

Settings = ImageSet
"""The set stands in params.yaml itself, so that a change of it is seen; `folder` is seen from the folder of params.yaml."""


def make(job: Job) -> dict[str, float]:
    """Write `images.json`. Raises UserError where there are no images or no commit names them; see `pipeline.weights`."""
    record = image_record(job.name, job.settings)
    write_json(job.folder / IMAGES, record)
    return {"gigabytes": record["bytes"] / 1e9, "files": len(record["files"])}


def seen_groups(job: Job) -> list[str]:
    return []
