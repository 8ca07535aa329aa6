"""params.yaml: every knob, checked before anything heavy is imported.

`load_params` returns the whole file as typed, frozen blocks. The first fault found becomes one sentence with the key,
the value and the remedy. Blocks that belong to one kind of model or generator are declared beside that kind.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from pipeline import benchmarks, generators, models
from pipeline.alterations import Views
from pipeline.detector_params import Attribution, Detectors, Evaluation, Rivals
from pipeline.errors import UserError
from pipeline.fit import Fit
from pipeline.images import Limits
from pipeline.param_faults import KeyedError, fault_of, nested
from pipeline.photographs import sources
from pipeline.registry import kind_module, kinds
from pipeline.schema import ReleaseDate, Strict
from pipeline.sentence import sentence
from pipeline.yamlfile import read_yaml

Dtype = Literal["float32", "bfloat16", "float16"]
KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
RESERVED = ("photographs", "originals", "clip", "captioner", "all", "combined", "default", "benchmarks", "real", "unknown")
RESERVED_PREFIXES = ("without-", "before-")
OUTS = ("data", "metrics", "plots")
"""Folders of stages' outs, which DVC deletes before a stage runs."""
FAMILIES = ("gan", "diffusion", "flow", "autoregressive", "reconstruction", "patch")
CAPTIONER = Path("data/models/captioner")
READ_CAPTIONS = ("text-to-image", "image-to-image")
MODES = ("text-to-image", "image-to-image", "reconstruction", "import")


def _key(value: str) -> str:
    if not KEY.fullmatch(value):
        raise ValueError("use lower-case letters, digits and hyphens only, at most 64 (it becomes a stage, a folder and a metric name)")
    return value


def _generator_key(value: str) -> str:
    if value in RESERVED or value.startswith(RESERVED_PREFIXES):
        prefixes = " or ".join(map(repr, RESERVED_PREFIXES))
        raise ValueError(f"the names {', '.join(RESERVED)} and those starting with {prefixes} are taken; choose another")
    return _key(value)


def _outside_outs(value: str) -> str:
    place = Path(os.path.realpath(value))
    for folder in OUTS:
        if place.is_relative_to(os.path.realpath(folder)):
            raise ValueError(f"{value!r} lies in {folder}, where DVC deletes what stages made; choose another folder, for example .work")
    return value


Key = Annotated[str, AfterValidator(_key)]
GeneratorKey = Annotated[str, AfterValidator(_generator_key)]


class Splits(Strict):
    """Shares of the groups; together 1."""

    train: float = Field(gt=0, lt=1)
    validation: float = Field(gt=0, lt=1)
    test: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _whole(self) -> Splits:
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError("train, validation and test must add up to 1")
        return self


class Photographs(Strict):
    kind: str = Field(description="where photographs come from: a module of pipeline/photographs/sources")
    source: str = Field(min_length=1, description="a path: what kind of thing lies there depends on `kind`")
    name: Key = Field(description="the value of the dataset's `source` column for photographs")
    limit: int | None = Field(default=None, ge=3, description="only the first N photographs, in a stable order that serves every split")
    crops: int | None = Field(ge=1, le=10_000, description="photographs cut from each original; null keeps originals whole")
    max_overlap: float = Field(ge=0, lt=1, description="largest intersection over union of two crops of one original")
    enlarge: bool = Field(default=False, description="whole photographs smaller than fit.shorter_side are enlarged, not set aside")
    splits: Splits | None = Field(description="shares of the groups; null: the source's own official splits")

    @model_validator(mode="before")
    @classmethod
    def _kind_is_known(cls, value: Any) -> Any:
        if isinstance(value, dict) and "kind" in value:
            module = _kind_module(value["kind"], sources)
            if value.get("splits", 0) is None and not module.OFFICIAL_SPLITS:
                raise KeyedError("splits", f"kind {value['kind']!r} has no official splits; give shares, for example train 0.6")
        return value


class Captions(Strict):
    source: str = Field(min_length=1, description="data/models/captioner, or a table (.csv, .parquet) with image_id and prompt")
    prompt: str = Field(description="instruction to a chat captioner, task of Florence-2, or the words a continuing captioner starts from")
    max_new_tokens: int = Field(ge=1, le=1024)
    batch_size: int = Field(ge=1, le=4096)
    dtype: Dtype = "float32"
    decoding: dict[str, Any] = Field(default={}, description="further arguments of transformers' generate; greedy where empty")

    @model_validator(mode="after")
    def _repeatable(self) -> Captions:
        if self.decoding.get("do_sample"):
            raise KeyedError("decoding.do_sample", "sampled captions would differ at every run; remove it, or use num_beams")
        return self


class ModelBlock(Strict):
    """How a model folder is made: a kind of pipeline/models and that kind's settings, checked by the kind itself."""

    kind: str
    settings: Any


class Generator(Strict):
    kind: str = Field(description="how counterparts are made: a module of pipeline/generators")
    family: Literal[FAMILIES]
    mode: Literal[MODES]
    licence: str
    batch_size: int = Field(ge=1, le=4096)
    released: ReleaseDate = Field(default=None, description="YYYY-MM-DD, where the model does not say it")
    model: Annotated[ModelBlock, BeforeValidator(lambda value: _block(value, models))]
    settings: Any = Field(default=None, description="that kind's settings, checked by the kind itself")

    @property
    def released_on(self) -> str | None:
        """The date its model came out, where the entry carries one: what detectors of the past have not seen."""
        return self.released or getattr(self.model.settings, "released", None)

    @model_validator(mode="before")
    @classmethod
    def _settings(cls, value: Any) -> Any:
        if isinstance(value, dict) and "kind" in value:
            module = _kind_module(value["kind"], generators)
            if value.get("mode") in MODES and value["mode"] not in module.MODES:
                raise KeyedError("mode", f"kind {value['kind']!r} makes {' or '.join(module.MODES)}, not {value['mode']!r}")
            settings = nested("settings", module.Settings, value.get("settings") or {})
            if hasattr(module, "check") and value.get("mode") in MODES:  # what settings and mode must have in common
                try:
                    module.check(value.get("mode"), settings)
                except ValueError as fault:
                    raise KeyedError("settings", str(fault)) from None
            return {**value, "settings": settings}
        return value


class Clip(Strict):
    model: Annotated[ModelBlock, BeforeValidator(lambda value: _block(value, models))]
    batch_size: int = Field(ge=1, le=4096)
    recognised: float | None = Field(ge=0, le=1, description="least accuracy on held-out edits of a concept in use; null: all")
    blocks: list[Annotated[int, Field(ge=0, le=255)]] | None = Field(
        min_length=1, description="transformer blocks (from 0) whose CLS token is kept, for attribution; null: every one"
    )
    dtype: Dtype = "float32"


class Captioner(Strict):
    model: Annotated[ModelBlock, BeforeValidator(lambda value: _block(value, models))]


class Benchmark(Strict):
    """Another labelled dataset that takes part in the evaluation, as it is."""

    kind: str = Field(description="how it is read: a module of pipeline/benchmarks")
    source: str = Field(min_length=1, description="a path: what kind of thing lies there depends on `kind`")
    licence: str
    settings: Any = Field(default=None, description="that kind's settings, checked by the kind itself")

    @model_validator(mode="before")
    @classmethod
    def _settings(cls, value: Any) -> Any:
        if isinstance(value, dict) and "kind" in value:
            module = _kind_module(value["kind"], benchmarks)
            return {**value, "settings": nested("settings", module.Settings, value.get("settings") or {})}
        return value


class Dataset(Strict):
    name: Key
    rows_per_shard: int = Field(ge=1, le=1_000_000)


class Params(Strict):
    root: str
    seed: int = Field(ge=0, lt=2**31)
    work: Annotated[str, AfterValidator(_outside_outs)]
    launch: str | None = Field(description="what starts the long stages on many GPUs, such as `accelerate launch --multi_gpu`")
    photographs: Photographs
    images: Limits = Field(description="what is read of strangers' images: of photographs and benchmarks")
    fit: Fit
    clip: Clip
    views: Views
    captioner: Captioner
    captions: Captions
    generators: dict[GeneratorKey, Generator]
    benchmarks: dict[GeneratorKey, Benchmark]
    dataset: Dataset
    detectors: Detectors
    evaluation: Evaluation
    rivals: Rivals
    attribution: Attribution

    @model_validator(mode="after")
    def _names(self) -> Params:
        names = [self.photographs.name, self.dataset.name, *self.generators, *self.benchmarks]
        for name in names:
            if names.count(name) > 1:
                raise KeyedError(
                    f"benchmarks.{name}" if name in self.benchmarks else "photographs.name", f"{name!r} is taken; choose another name"
                )
        written, captioner = Path(self.captions.source) == CAPTIONER, self.captioner.model.kind
        readers = [name for name, entry in self.generators.items() if entry.mode in READ_CAPTIONS]
        if written and captioner == "none" and readers:
            raise KeyedError(
                "captioner.model.kind",
                f"none writes no captions, but {readers[0]!r} needs them; name a captioner, or a table in captions.source",
            )
        if not written and captioner != "none":
            raise KeyedError(
                "captioner.model.kind", f"captions come from {self.captions.source!r}, so set captioner.model to {{kind: none}}"
            )
        if not self.generators and not self.benchmarks:
            raise KeyedError("generators", "no generator and no benchmark is left; add an entry of either")
        return self


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read and check the parameters. Raises UserError naming the first faulty key."""
    path = Path(path)
    try:
        raw = read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run from the folder that holds params.yaml and dvc.yaml") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold a mapping of parameters, found {type(raw).__name__}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{path}: {sentence(fault_of(error, Params))}") from None


def _kind_module(kind: Any, registry: Any) -> Any:
    known = kinds(registry)
    if kind not in known:
        hint = difflib.get_close_matches(str(kind), known, n=1)
        remedy = f"did you mean {hint[0]!r}? " if hint else ""
        raise KeyedError("kind", f"unknown kind {kind!r}; {remedy}known kinds: {', '.join(known)}")
    return kind_module(registry, kind)


def _block(value: Any, registry: Any) -> Any:
    """A {kind, ...settings} mapping as a ModelBlock."""
    if not isinstance(value, dict):
        raise ValueError("expected a mapping with a `kind`")
    if "kind" not in value:
        raise KeyedError("kind", f"is missing; known kinds: {', '.join(kinds(registry))}")
    module = _kind_module(value["kind"], registry)
    settings = {key: item for key, item in value.items() if key != "kind"}
    return ModelBlock(kind=value["kind"], settings=nested(None, module.Settings, settings))
