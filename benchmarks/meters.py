"""Where a diffusers pipeline's time goes: its parts are timed from outside, whoever loads and calls them."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

KINDS = {"transformer": "denoiser", "unet": "denoiser", "vae": "autoencoder"}


class Meter:
    """While it is entered, times what pipelines load and run, and the methods `beside` {class: names} wherever they run.

    Without `parts` only whole calls are timed: a compiler would compile the meter as well.
    On a GPU a part is waited for before and after, which takes some overlap away: times there are of the parts, and the whole
    is a little slower than without a meter.
    """

    def __init__(self, beside: dict[type, tuple[str, ...]] | None = None, parts: bool = True):
        self.beside, self.parts = beside or {}, parts
        self.spans: list[tuple[str, float, float]] = []  # what ran from when to when
        self.loads: Counter[str] = Counter()
        self.batches: list[float] = []  # seconds of each call that made images
        self._depth: Counter[tuple[str, int]] = Counter()
        self._patches = ExitStack()

    def __enter__(self) -> Meter:
        from diffusers import DiffusionPipeline

        load = DiffusionPipeline.from_pretrained.__func__

        def loading(cls, *arguments, **named):
            pipeline = self._timed("loading", load)(cls, *arguments, **named)
            self._watch(pipeline)
            return pipeline

        self._patches.enter_context(patch.object(DiffusionPipeline, "from_pretrained", classmethod(loading)))
        for cls, names in self.beside.items():
            for name in names:
                self._patches.enter_context(patch.object(cls, name, self._timed("beside", getattr(cls, name))))
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *error: Any) -> None:
        self.whole = time.perf_counter() - self._begun
        self._patches.close()

    def calls(self, kind: str) -> int:
        return sum(name == kind for name, _, _ in self.spans)

    def summary(self) -> dict[str, float]:
        """Seconds, and `idle_share`: of the time from the first use of the denoiser or the autoencoder to the last, without
        that of text encoders, how much neither ran.

        `making`: all but loading weights; `start_up`: of it, what came before the model began, without text encoders.
        """
        spent: Counter[str] = Counter()
        for kind, begun, ended in self.spans:
            spent[kind] += ended - begun
        model = [span for span in self.spans if span[0] in ("denoiser", "autoencoder")]
        first, last = min(begun for _, begun, _ in model), max(ended for *_, ended in model)
        reading = sum(ended - begun for kind, begun, ended in self.spans if kind == "text" and begun > first)
        parts = {name: spent[name] for name in ("loading", "text", "denoiser", "autoencoder", "beside")}
        busy = (parts["denoiser"] + parts["autoencoder"]) / (last - first - reading)
        start_up = first - self._begun - spent["loading"] - (parts["text"] - reading)
        return {**parts, "making": self.whole - spent["loading"], "start_up": start_up, "idle_share": 1 - busy}

    def _watch(self, pipeline) -> None:
        import torch

        for name, part in pipeline.components.items() if self.parts else ():
            kind = "text" if name.startswith("text_encoder") else KINDS.get(name)
            if kind is None or not isinstance(part, torch.nn.Module):
                continue
            self.loads[kind] += 1
            for method in ("encode", "decode") if kind == "autoencoder" else ("forward",):
                setattr(part, method, self._timed(kind, getattr(part, method)))
        cls, call = type(pipeline), type(pipeline).__call__
        if not hasattr(call, "metered"):
            self._patches.enter_context(patch.object(cls, "__call__", self._noting_batches(call)))

    def _noting_batches(self, call: Callable) -> Callable:
        @functools.wraps(call)
        def timed(pipeline, *arguments, **named):
            begun = time.perf_counter()
            result = call(pipeline, *arguments, **named)
            self.batches.append(time.perf_counter() - begun)  # not of a call that ended once its text was encoded
            return result

        timed.metered = True
        return timed

    def _timed(self, kind: str, function: Callable) -> Callable:
        """`function`, its time added to `kind`; of calls within calls the outermost counts."""

        @functools.wraps(function)
        def timed(*arguments, **named):
            key = kind, threading.get_ident()
            self._depth[key] += 1
            begun = _now()
            try:
                return function(*arguments, **named)
            finally:
                self._depth[key] -= 1
                if not self._depth[key]:
                    self.spans.append((kind, begun, _now()))

        return timed


def _now() -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
