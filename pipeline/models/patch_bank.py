"""A bank of reference crops: all that a patch generator needs. Nothing is trained.

Every original contributes crops of its own, because a patch generator redraws a photograph from patches of the same
original; such a model has therefore seen them all, and says so.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from pipeline.schema import Strict
from pipeline.training.job import Job, require

PROBE_SIDE = 5
MOST_ORIGINALS = None  # every original needs crops of its own


class Settings(Strict):
    crops: int = Field(ge=2, le=1000, description="reference crops per original")
    floor: float = Field(description="least share of new patches' variance that the nearest patch of the bank explains")


def make(job: Job) -> dict[str, float]:
    """Cut and save the crops; measure how well they cover new crops of the same originals."""
    import torch
    from safetensors.torch import save_file

    from pipeline.patches import Bank, nearest, patch_rows

    bank = {}
    for seen in (True, False):
        crops = job.crops(job.settings.crops, seen, seed=61)
        for group in np.unique(crops.groups):
            bank[str(group)] = torch.from_numpy(np.ascontiguousarray(crops.images[crops.groups == group].transpose(0, 3, 1, 2)))
    save_file(bank, str(job.folder / "bank.safetensors"))
    explained = []
    references = Bank(job.folder)
    generator = torch.Generator().manual_seed(job.seed)
    for seen in (True, False):
        crops = job.crops(4, seen, seed=62)
        for group in np.unique(crops.groups):
            new = torch.from_numpy(np.ascontiguousarray(crops.images[crops.groups == group].transpose(0, 3, 1, 2))).float() / 127.5 - 1
            rows = patch_rows(new, PROBE_SIDE)
            rows = rows[torch.randperm(len(rows), generator=generator)[:500]]
            known = references.rows(str(group), PROBE_SIDE, 1, 4000)
            error = (rows - known[nearest(rows, known)]).pow(2).mean()
            explained.append(float(1 - error / (rows - known.mean(0)).pow(2).mean()))
    coverage = float(np.mean(explained))
    require(coverage, job.settings.floor, f"{job.name}: share of new patches' variance the bank explains")
    return {"coverage": coverage}


def seen_groups(job: Job) -> list[str]:
    return sorted(job.groups(seen=True) + job.groups(seen=False))
