"""Text encoders first, then the denoiser: the two halves of a pipeline are never in memory together.

Every diffusers pipeline gets its text conditioning from `self.encode_prompt` and goes on to `self.prepare_latents`. So the
pipeline itself is called twice: once with the text encoders alone, up to that point, noting what `encode_prompt`
returned; once without them, with the notes played back. No argument of any class has to be known, and the images are
those of the undivided pipeline, bit for bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from pipeline.diffusion.classes import components
from pipeline.diffusion.on_disk import Disk, load


class _Encoded(Exception):
    """The pipeline has encoded its prompts and would now make latents."""


def can_divide(cls: type) -> bool:
    return hasattr(cls, "encode_prompt") and hasattr(cls, "prepare_latents")


def text_encoders(index: dict) -> list[str]:
    """Names of the components that read text: the transformers models."""
    import transformers

    models = components(index).items()
    return [name for name, (library, cls) in models if library == "transformers" and _is(transformers, cls, "PreTrainedModel")]


def denoisers(index: dict) -> list[str]:
    """Names of the components that make the picture: the diffusers models, autoencoder included."""
    import diffusers

    return [name for name, (library, cls) in components(index).items() if library == "diffusers" and _is(diffusers, cls, "ModelMixin")]


def _is(library, name: str, base: str) -> bool:
    cls = getattr(library, name, None)
    return isinstance(cls, type) and issubclass(cls, getattr(library, base))


class StandIn:
    """What pipelines read of an absent denoiser before they make latents: its configuration, here or there as attributes."""

    def __init__(self, config: dict, dtype):
        from diffusers.configuration_utils import FrozenDict

        self.config, self.dtype = FrozenDict(config), dtype

    def __getattr__(self, name: str) -> Any:
        if name == "config" or name not in self.config:
            raise AttributeError(name)
        return self.config[name]


def record(pipeline, call: Callable[[Any], Any], disk: Disk) -> list[Any]:
    """Run `call(pipeline)` up to `prepare_latents`; returns what its calls of `encode_prompt` gave, in order, kept on `disk`."""
    notes: list[Any] = []
    encode = type(pipeline).encode_prompt

    def noting(*arguments, **named):
        result = encode(pipeline, *arguments, **named)
        notes.append(disk.keep(result))
        return result

    def stop(*arguments, **named):
        raise _Encoded

    pipeline.encode_prompt, pipeline.prepare_latents = noting, stop
    try:
        call(pipeline)
    except _Encoded:
        return notes
    finally:
        del pipeline.encode_prompt, pipeline.prepare_latents
    raise RuntimeError(f"{type(pipeline).__name__} made images without prepare_latents")


def play(pipeline, notes: list[Any], call: Callable[[Any], Any]) -> Any:
    """Run `call(pipeline)` with `encode_prompt` answering from `notes`."""
    from accelerate.utils import send_to_device

    waiting = itertools.cycle(notes)  # a caller may run the pipeline twice
    pipeline.encode_prompt = lambda *arguments, **named: send_to_device(load(next(waiting)), pipeline._execution_device)
    try:
        return call(pipeline)
    finally:
        del pipeline.encode_prompt
