"""A model someone else has trained, from the hub at a commit or from a folder: recorded here, its weights stay where they are."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from pipeline.schema import ReleaseDate, Strict
from pipeline.training.job import Job
from pipeline.weights import record_weights

SHOWN = False
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class Settings(Strict):
    id: str | None = Field(default=None, description="owner/name on the hub; this or `folder`")
    folder: str | None = Field(default=None, min_length=1, description="a folder that a model was saved in")
    revision: str | None = Field(default=None, description="the commit of the repository, 40 hexadecimal digits")
    variant: str | None = Field(default=None, min_length=1, description="which of a repository's weights, such as fp16")
    licence: str = Field(min_length=1)
    gated: bool = Field(default=False, description="whether the hub asks for an accepted licence")
    released: ReleaseDate = Field(default=None, description="YYYY-MM-DD")
    gpu_gb: float | None = Field(default=None, gt=0, description="GPU memory it needs, in 10^9 bytes, as estimated")
    disk_gb: float | None = Field(default=None, gt=0, description="size of what is downloaded, in 10^9 bytes, as estimated")
    why: str | None = Field(default=None, description="the reasoning behind the estimates")

    @field_validator("id")
    @classmethod
    def _id(cls, value: str | None) -> str | None:
        if value is not None and not HUB_ID.fullmatch(value):
            raise ValueError(f"{value!r} is no id of the hub; write owner/name, or give a path as `folder`")
        return value

    @field_validator("revision")
    @classmethod
    def _revision(cls, value: str | None) -> str | None:
        if value is not None and not COMMIT.fullmatch(value):
            raise ValueError(f"{value!r} is no commit (branches and tags move); write all 40 digits of one, in lower case")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Settings:
        if (self.id is None) == (self.folder is None):
            raise ValueError("give either `id` (owner/name on the hub) or `folder` (a path), and not both")
        if self.folder is not None and self.revision is not None:
            raise ValueError("`revision` means nothing with `folder` (its files' hashes are recorded); remove it")
        return self


def make(job: Job) -> dict[str, float]:
    """Fetch what is missing and record it. Raises UserError where it cannot be had; see `pipeline.weights`."""
    return size(record_weights(job.folder, job.name, job.settings))


def seen_groups(job: Job) -> None:
    """Nobody here knows which photographs its maker trained it on."""
    return None


def size(record: dict) -> dict[str, float]:
    return {"gigabytes": record["bytes"] / 1e9, "files": len(record["files"])}
