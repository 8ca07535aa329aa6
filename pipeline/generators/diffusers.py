"""Any diffusers pipeline, loaded by the class its own index names; one entry in params.yaml, no code per model."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pipeline.autoencoding import reconstruct_arrays
from pipeline.diffusion import from_photograph, text_first
from pipeline.diffusion.classes import call_arguments, check_arguments, components, index_of, load_arguments, pipeline_class
from pipeline.diffusion.on_disk import Disk
from pipeline.diffusion.output import images_of
from pipeline.errors import UserError
from pipeline.generators import Request
from pipeline.memory import free, model_must_fit, out_of_memory
from pipeline.processes import device
from pipeline.schema import Strict
from pipeline.sizes import nearest_size
from pipeline.weights import variant_of, weights_folder

MODES = ("text-to-image", "image-to-image", "reconstruction")
VERSION = 2
NEUTRAL = ("offload",)
RESERVED = (
    *("prompt", "image", "generator", "latents", "output_type", "return_dict", "num_images_per_prompt", "height", "width"),
    *("strength", "num_inference_steps", "guidance_scale"),
)
"""Arguments of a call that are no one's to choose, or have a setting of their own."""


class Settings(Strict):
    """How the pipeline is loaded and called; rarer arguments go into `load` and `call`, checked against its signature."""

    strength: float | None = Field(default=None, gt=0, le=1, description="image-to-image: share of the noise schedule that is used")
    num_inference_steps: int | None = Field(default=None, ge=1)
    guidance_scale: float | None = Field(default=None, ge=0)
    call: dict[str, Any] = {}
    load: dict[str, Any] = {}
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    sizes: list[tuple[int, int]] | None = Field(default=None, strict=False, description="(width, height) it can make, where not every size")
    multiple: int | None = Field(default=None, ge=1, description="sides it can make are multiples of this many pixels")
    offload: Literal["none", "model", "sequential"] = Field(default="none", description="parts wait in main memory: slower, same images")
    compile: bool = Field(default=False, description="torch.compile the denoiser's blocks")
    lossy: Literal["fp8"] | None = Field(default=None, description="store the denoiser's weights in 8 bits: another generator, name it so")
    cache: float | None = Field(default=None, gt=0, lt=1, description="first-block cache, relative change below which blocks are skipped")

    @model_validator(mode="after")
    def _some_step_is_left(self) -> Settings:
        if self.strength is not None and self.num_inference_steps is not None and self.strength * self.num_inference_steps < 1:
            raise ValueError(f"strength {self.strength} of {self.num_inference_steps} steps is less than one step; raise either")
        return self

    def arguments(self) -> dict[str, Any]:
        """What the pipeline is called with."""
        given = {name: getattr(self, name) for name in ("strength", "num_inference_steps", "guidance_scale")}
        return {**{name: value for name, value in given.items() if value is not None}, **self.call}


def check(mode: str, settings: Settings) -> None:
    if mode == "image-to-image" and settings.strength is None:
        raise ValueError("mode image-to-image needs `strength`; add it, for example 0.4")
    if mode != "image-to-image" and settings.strength is not None:
        raise ValueError(f"`strength` means nothing in mode {mode}; remove it")
    if taken := [name for name in RESERVED if name in settings.call]:
        raise ValueError(f"`call` may not hold {taken[0]!r}, which is set elsewhere; remove it")
    if mode == "reconstruction" and (settings.lossy or settings.cache or settings.compile):
        raise ValueError("`lossy`, `cache` and `compile` concern a denoiser, and mode reconstruction uses none; remove them")
    if mode != "text-to-image" and (settings.sizes or settings.multiple):
        raise ValueError(f"`sizes` and `multiple` mean nothing in mode {mode}, which keeps the photograph's size; remove them")


def load(folder: Path, settings: Settings, mode: str, key: str) -> DiffusersGenerator:
    """Check everything that can be checked without weights; these are loaded when the first batch is announced.

    Raises UserError for arguments the pipeline's signature does not have, and for a mode it cannot do.
    """
    weights = weights_folder(folder)
    cls = pipeline_class(weights, mode)
    where = f"generators.{key}.settings"
    check_arguments(cls, settings.load, load_arguments(cls), f"{where}.load")
    taken = from_photograph.arguments(cls) if mode == "image-to-image" else call_arguments(cls)
    check_arguments(cls, settings.arguments(), taken, where)
    if settings.cache is not None and not hasattr(_denoiser_class(weights), "enable_cache"):
        raise UserError(f"{where}.cache: the denoiser of {cls.__name__} cannot skip blocks; remove it")
    if mode == "reconstruction" and "vae" not in components(index_of(weights)):
        raise UserError(f"generators.{key}.mode: {cls.__name__} has no autoencoder to reconstruct with; use text-to-image")
    return DiffusersGenerator(weights, cls, settings, mode, variant_of(folder), f"generators.{key}")


def _denoiser_class(weights: Path) -> type:
    import diffusers

    parts = components(index_of(weights))
    return getattr(diffusers, (parts.get("transformer") or parts["unet"])[1])


class DiffusersGenerator:
    def __init__(self, weights: Path, cls: type, settings: Settings, mode: str, variant: str | None, key: str):
        self.weights, self.cls, self.settings, self.mode, self.variant, self.key = weights, cls, settings, mode, variant, key
        self.index = index_of(weights)
        self.pipeline = None
        self.notes: dict[tuple, list | None] = {}  # what the text encoders said, by batch; None where they had too little memory

    def prepare(self, batches: list[list[Request]]) -> None:
        """Encode the prompts of these batches, then let go of the encoders; the denoiser is loaded afterwards."""
        if self.mode == "reconstruction" or not text_first.can_divide(self.cls):
            return
        if self.pipeline is not None:
            self._free()
        self.notes = {}  # and with them the file they wait in, before there is another
        disk = Disk()
        encoders = self._load(without=text_first.denoisers(self.index))
        for name in text_first.denoisers(self.index):
            setattr(encoders, name, text_first.StandIn(self._config(name), self._dtype()))
        self.notes = {_key(batch): self._encoded(encoders, batch, disk) for batch in batches}
        del encoders
        self._free()

    def _encoded(self, encoders, batch: list[Request], disk: Disk) -> list | None:
        try:
            return text_first.record(encoders, functools.partial(self._call, requests=batch), disk)
        except Exception as error:
            if out_of_memory(error):
                return None
            raise

    def counterparts(self, requests: list[Request]) -> list[np.ndarray | None]:
        if self.mode == "reconstruction":
            return self._decoded(requests)
        if text_first.can_divide(self.cls) and _key(requests) not in self.notes:
            self.prepare([requests])
        if self.pipeline is None:
            self.pipeline = self._ready()
        notes = self.notes.pop(_key(requests), [])
        if notes is None:
            raise MemoryError("encoding the prompts")
        call = functools.partial(self._call, requests=requests)
        try:
            out = text_first.play(self.pipeline, notes, call) if text_first.can_divide(self.cls) else call(self.pipeline)
        except Exception as error:
            self.pipeline.maybe_free_model_hooks()  # as a call that ends well does: nothing of a broken one enters the next
            if isinstance(error, UnboundLocalError) and "'image'" in str(error):
                raise MemoryError("decoding") from error  # of which Sana's pipelines warn, and stumble over the image there is not
            raise
        return images_of(out)

    def reconstructions(self, requests: list[Request]) -> list[np.ndarray] | None:
        if self.mode == "reconstruction" or "vae" not in components(self.index):
            return None  # the counterpart already is the reconstruction, or there is no autoencoder
        return self._decoded(requests)

    def _decoded(self, requests: list[Request]) -> list[np.ndarray]:
        if self.pipeline is None:
            self.pipeline = self._ready()
        photographs = [request.photograph for request in requests]
        # One at a time: at full size an autoencoder needs more memory for a batch than the denoiser does.
        return reconstruct_arrays(self.pipeline.vae, photographs, batch_size=1, device=self.pipeline._execution_device)

    def truncated(self, prompts: list[str]) -> dict[str, int]:
        from pipeline.diffusion.truncation import truncated

        return {} if self.mode == "reconstruction" else truncated(self.weights, self.cls, self.settings.arguments(), prompts)

    def _call(self, pipeline, requests: list[Request]):
        import torch
        from PIL import Image

        given = self.settings.arguments()
        width, height = nearest_size(requests[0].width, requests[0].height, self.settings.sizes, self.settings.multiple)
        known = call_arguments(self.cls)
        if "height" in known:
            given |= {"height": height, "width": width}
        given |= {
            "prompt": [request.prompt for request in requests],
            "generator": [torch.Generator("cpu").manual_seed(request.seed) for request in requests],
            "output_type": "np",
        }
        if isinstance(given.get("negative_prompt"), str):  # some pipelines take one for the batch, some one for each
            given["negative_prompt"] = [given["negative_prompt"]] * len(requests)
        if self.mode != "image-to-image":
            return pipeline(**given)
        announced = requests[0].photograph is None
        empty = Image.new("RGB", (width, height))
        given["image"] = [empty if announced else Image.fromarray(request.photograph) for request in requests]
        return from_photograph.call(pipeline, given)

    def _ready(self):
        """The pipeline without its text encoders, on its device."""
        divided = self.mode == "reconstruction" or text_first.can_divide(self.cls)
        keep_only = {"vae"} if self.mode == "reconstruction" else set(text_first.denoisers(self.index))
        without = [name for name in text_first.denoisers(self.index) if name not in keep_only]
        pipeline = self._load([*without, *(text_first.text_encoders(self.index) if divided else [])])
        denoiser = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
        if self.settings.lossy == "fp8":
            import torch

            denoiser.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=self._dtype())
        if self.settings.cache is not None:
            from diffusers import FirstBlockCacheConfig

            denoiser.enable_cache(FirstBlockCacheConfig(threshold=self.settings.cache))
        if self.settings.compile and denoiser is not None:
            # Dynamic from the start: compiled for one shape first, kernels would depend on which shape came first.
            repeated = getattr(denoiser, "_repeated_blocks", None)
            denoiser.compile_repeated_blocks(dynamic=True) if repeated else denoiser.compile(dynamic=True)
        return pipeline

    def _load(self, without: list[str]):
        # A component saved as [null, null] was None on purpose (SD3 without T5); from_pretrained wants that said again.
        absent = {name: None for name, value in self.index.items() if isinstance(value, list) and value[0] is None}
        absent |= dict.fromkeys(without)
        given = {**self.settings.load, **absent, "variant": self.variant, "use_safetensors": True, "trust_remote_code": False}
        with model_must_fit(self.key):
            pipeline = self.cls.from_pretrained(self.weights, dtype=self._dtype(), **given)
            self._place(pipeline)
        pipeline.set_progress_bar_config(disable=True)
        if hasattr(getattr(pipeline, "vae", None), "enable_slicing"):
            pipeline.vae.enable_slicing()  # decode image after image, for the same reason as in `_decoded`
        return pipeline

    def _place(self, pipeline) -> None:
        here = device()
        if here.type == "cpu" or self.settings.offload == "none":
            pipeline.to(here)
        elif self.settings.offload == "model":
            pipeline.enable_model_cpu_offload(device=here)
        else:
            pipeline.enable_sequential_cpu_offload(device=here)

    def _config(self, component: str) -> dict:
        import diffusers

        return getattr(diffusers, self.index[component][1]).load_config(self.weights, subfolder=component)

    def _dtype(self):
        import torch

        return getattr(torch, self.settings.dtype)

    def _free(self) -> None:
        self.pipeline = None
        free()


def _key(requests: list[Request]) -> tuple:
    return tuple((request.image_id, request.prompt) for request in requests)
