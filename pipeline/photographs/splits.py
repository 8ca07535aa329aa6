"""Splits by group: everything derived from one original stays in one split."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.errors import UserError
from pipeline.seeds import digest

SPLITS = ("train", "validation", "test")


def assign_splits(groups: Iterable[str], shares: dict[str, float], seed: int) -> dict[str, str]:
    """Map each group to a split: groups in hash order, the first part to train, the next to validation, the rest to test.

    Every split gets at least one group. Raises UserError with fewer than three groups.
    """
    ordered = sorted(set(groups), key=lambda group: digest(seed, "split", group))
    if len(ordered) < len(SPLITS):
        raise UserError(
            f"photographs.source: {len(ordered)} readable original(s), but train, validation and test need one each; "
            "add photographs until there are at least 3"
        )
    validation = max(1, round(len(ordered) * shares["validation"]))
    test = max(1, round(len(ordered) * shares["test"]))
    train = max(1, len(ordered) - validation - test)
    names = (["train"] * train + ["validation"] * validation + ["test"] * test)[: len(ordered)]
    names[-1] = "test"
    return dict(zip(ordered, names, strict=True))
