"""Starting from a photograph: image-to-image with a strength.

Most pipelines have an image-to-image class of their own. For those without one the photograph's latents, noised to the
level at which the shortened schedule begins, are handed to the text-to-image class (SDEdit, Meng et al. 2022); only how an
image becomes that model's latents has to be known, and stands in `ENCODERS`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any


def arguments(cls: type) -> dict[str, inspect.Parameter]:
    """What the image-to-image call of `cls` takes."""
    from pipeline.diffusion.classes import call_arguments

    known = call_arguments(cls)
    if cls.__name__ not in ENCODERS:
        return known
    strength = inspect.Parameter("strength", inspect.Parameter.KEYWORD_ONLY)
    return {**known, "strength": strength}


def call(pipeline, given: dict[str, Any]):
    """Call the pipeline on `given`, which holds `image` and `strength`."""
    encoder = ENCODERS.get(type(pipeline).__name__)
    return pipeline(**given) if encoder is None else _from_text_to_image(pipeline, encoder, dict(given))


class _Scheduled(Exception):
    """The schedule is set, which is all that was wanted."""


def _from_text_to_image(pipeline, encoder, given: dict[str, Any]):
    import torch

    images, strength = given.pop("image"), given.pop("strength")
    if "prepare_latents" in vars(pipeline):  # only the text is being encoded; nothing of the photograph is needed
        return pipeline(**given)
    with _shortened(pipeline.scheduler, strength, stop=True), contextlib.suppress(_Scheduled):
        pipeline(**given)
    level = float(pipeline.scheduler.sigmas[0])
    pixels = pipeline.image_processor.preprocess(images, height=given["height"], width=given["width"])
    with torch.inference_mode():
        clean = encoder(pipeline, pixels.to(pipeline._execution_device, pipeline.vae.dtype)).float()
    noise = torch.stack([torch.randn(clean.shape[1:], generator=generator) for generator in given["generator"]]).to(clean.device)
    with _shortened(pipeline.scheduler, strength):
        return pipeline(**given, latents=(1 - level) * clean + level * noise)  # a rectified flow's mixture


@contextlib.contextmanager
def _shortened(scheduler, strength: float, stop: bool = False) -> Iterator[None]:
    """Inside, the scheduler keeps only the last `strength` of every schedule it is asked for; `stop` ends there."""
    whole = scheduler.set_timesteps

    @functools.wraps(whole)  # pipelines look at its signature
    def set_timesteps(*arguments, **named):
        whole(*arguments, **named)
        steps = len(scheduler.timesteps)
        skipped = steps - max(1, int(steps * strength))
        scheduler.timesteps, scheduler.sigmas = scheduler.timesteps[skipped:], scheduler.sigmas[skipped:]
        scheduler.num_inference_steps = steps - skipped
        if stop:
            raise _Scheduled

    scheduler.set_timesteps = set_timesteps
    try:
        yield
    finally:
        del scheduler.set_timesteps


def _sana(pipeline, pixels):
    return pipeline.vae.encode(pixels).latent * pipeline.vae.config.scaling_factor


def _flux2_klein(pipeline, pixels):
    return pipeline._encode_vae_image(pixels, generator=None)


ENCODERS: dict[str, Callable[[Any, Any], Any]] = {"SanaPipeline": _sana, "Flux2KleinPipeline": _flux2_klein}
"""pipeline class: (pipeline, images N x 3 x H x W in [-1, 1]) -> latents as its text-to-image call takes them."""
