"""Images that exist already, in place of a model: which ones, identified so that others can tell whether theirs are the same."""

from __future__ import annotations

from pydantic import Field

from pipeline.files import write_json
from pipeline.schema import Strict
from pipeline.training.job import Job
from pipeline.weights import IMAGES, image_record


class Settings(Strict):
    source: str = Field(min_length=1, description="a folder of images, or a .yaml that describes a dataset of the hub or a folder")


def make(job: Job) -> dict[str, float]:
    """Write `images.json`. Raises UserError where there are no images; see `pipeline.weights`."""
    record = image_record(job.name, job.settings.source)
    write_json(job.folder / IMAGES, record)
    return {"gigabytes": record["bytes"] / 1e9, "files": len(record["files"])}


def seen_groups(job: Job) -> list[str]:
    return []
