"""Any diffusers pipeline, loaded from a folder or hub id by the class its own index names."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from pipeline.autoencoding import reconstruct_arrays
from pipeline.errors import UserError
from pipeline.generators import Request
from pipeline.schema import Strict

MODES = ("text-to-image", "image-to-image", "reconstruction")
VERSION = 1


class Settings(Strict):
    """What the pipeline is called with; anything rarer goes into `call`, checked against the pipeline's signature."""

    strength: float | None = Field(default=None, gt=0, le=1, description="image-to-image: share of the noise schedule that is used")
    num_inference_steps: int | None = Field(default=None, ge=1)
    guidance_scale: float | None = Field(default=None, ge=0)
    call: dict[str, Any] = {}

    @model_validator(mode="after")
    def _some_step_is_left(self) -> Settings:
        if self.strength is not None and self.num_inference_steps is not None and self.strength * self.num_inference_steps < 1:
            raise ValueError(f"strength {self.strength} of {self.num_inference_steps} steps is less than one step; raise either")
        return self

    def arguments(self) -> dict[str, Any]:
        given = self.model_dump(exclude={"call"}, exclude_none=True)
        return {**given, **self.call}


def check(mode: str, settings: Settings) -> None:
    if mode == "image-to-image" and settings.strength is None:
        raise ValueError("mode image-to-image needs `strength`; add it, for example 0.4")
    if mode != "image-to-image" and settings.strength is not None:
        raise ValueError(f"`strength` means nothing in mode {mode}; remove it")


def load(folder: Path, settings: Settings, mode: str) -> DiffusersGenerator:
    """Load the pipeline. Raises UserError for arguments its signature does not have, before anything is made."""
    import diffusers

    index = json.loads((folder / "model_index.json").read_text())
    # A component saved as [null, null] was None on purpose (SD3 without T5); from_pretrained wants that said again.
    absent = {name: None for name, value in index.items() if isinstance(value, list) and value == [None, None]}
    loader = diffusers.AutoPipelineForImage2Image if mode == "image-to-image" else diffusers.DiffusionPipeline
    pipeline = loader.from_pretrained(folder, **absent)
    pipeline.set_progress_bar_config(disable=True)
    known = [name for name, p in inspect.signature(type(pipeline).__call__).parameters.items() if p.kind is not p.VAR_KEYWORD]
    for name in settings.arguments():
        if name not in known:
            raise UserError(
                f"generators.{folder.name}.settings: {type(pipeline).__name__} takes no {name!r}; it knows {', '.join(known[1:])}"
            )
    return DiffusersGenerator(pipeline, settings, mode)


class DiffusersGenerator:
    def __init__(self, pipeline, settings: Settings, mode: str):
        self.pipeline, self.settings, self.mode = pipeline, settings, mode

    def counterparts(self, requests: list[Request]) -> list[np.ndarray]:
        import torch
        from PIL import Image

        if self.mode == "reconstruction":
            return self.reconstructions(requests) or []
        given = self.settings.arguments()
        if self.mode == "image-to-image":
            given["image"] = [Image.fromarray(request.photograph) for request in requests]
        known = inspect.signature(type(self.pipeline).__call__).parameters
        if "height" in known:
            given["height"], given["width"] = requests[0].photograph.shape[:2]
        out = self.pipeline(
            prompt=[request.prompt for request in requests],
            generator=[torch.Generator("cpu").manual_seed(request.seed) for request in requests],
            output_type="pil",
            **given,
        )
        return [np.asarray(image.convert("RGB")) for image in out.images]

    def reconstructions(self, requests: list[Request]) -> list[np.ndarray] | None:
        if getattr(self.pipeline, "vae", None) is None:
            return None
        return reconstruct_arrays(self.pipeline.vae, [request.photograph for request in requests])
