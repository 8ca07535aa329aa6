"""models@<name> (and clip, captioner): make data/models/<name> and measure it."""

import os
import sys
from pathlib import Path

from pipeline import models
from pipeline.errors import UserError
from pipeline.files import replacing_folder, write_json, write_metrics
from pipeline.params import ModelBlock, Params
from pipeline.preflight import require_ready
from pipeline.registry import kind_module
from pipeline.seeds import seed_of
from pipeline.training.job import MOST_ORIGINALS, Job, LearnedNothing
from stages.run import run

MODELS = Path("data/models")


def main(params: Params, name: str) -> None:
    require_ready(params, "models", name)
    block = _block(params, name)
    kind = kind_module(models, block.kind)
    with replacing_folder(MODELS / name) as folder:
        job = Job(
            name=name,
            settings=block.settings,
            seed=seed_of(params.seed, "model", name) % 2**31,
            side=params.fit.shorter_side,
            photographs=Path("data/photographs"),
            folder=folder,
            clip=MODELS / "clip" if name == "captioner" else None,
            most=getattr(kind, "MOST_ORIGINALS", MOST_ORIGINALS),
        )
        try:
            quality = kind.make(job)
        except LearnedNothing as reason:
            raise UserError(f"models: {reason}") from None
        seen = kind.seen_groups(job) if hasattr(kind, "seen_groups") else job.groups(seen=True)
        record = {"kind": block.kind, "settings": block.settings.model_dump(mode="json"), "seed": job.seed, "seen_groups": seen}
        write_json(folder / "training.json", record)
    write_metrics(f"metrics/models/{name}.json", quality)


def _block(params: Params, name: str) -> ModelBlock:
    if name in ("clip", "captioner"):
        return getattr(params, name).model
    return params.generators[name].model


if __name__ == "__main__":
    if sys.stderr.isatty():  # other stages load in silence, this one may download for hours
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "0")
    run(main)
