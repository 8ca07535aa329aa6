"""Splits by group: everything derived from one original stays in one split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
            f"photographs.source: {len(ordered)} original(s) that can be read and differ, but train, validation and test need one each; "
            "add photographs until there are at least 3"
        )
    validation = max(1, round(len(ordered) * shares["validation"]))
    test = max(1, round(len(ordered) * shares["test"]))
    train = max(1, len(ordered) - validation - test)
    names = (["train"] * train + ["validation"] * validation + ["test"] * test)[: len(ordered)]
    names[-1] = "test"
    return dict(zip(ordered, names, strict=True))


def official_splits(members: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Map each group to its source's own split, from (group, split) of every original.

    Raises UserError for a group that lies in two splits or in none.
    """
    splits: dict[str, str] = {}
    for group, split in members:
        if split not in SPLITS:
            raise UserError(f"photographs.splits: {group!r} has no official split; give shares, for example train 0.6")
        if splits.setdefault(group, split) != split:
            raise UserError(
                f"photographs.splits: the group {group!r} lies in both {splits[group]} and {split} of the source's official splits; "
                "give shares, which keep a group together"
            )
    return splits


def nested_order(splits: Mapping[str, str]) -> list[str]:
    """All ids in the order in which a limit includes them: the first N + 1 contain the first N.

    Within a split ids follow their hash; the splits are interleaved in proportion to their sizes, and the first of each
    comes at the very front, so that three photographs already serve train, validation and test.
    """
    ranked: list[tuple[float, int, str]] = []
    for number, split in enumerate(SPLITS):
        members = sorted((i for i in splits if splits[i] == split), key=lambda image_id: digest("limit", image_id))
        ranked += [(rank / len(members), number, image_id) for rank, image_id in enumerate(members)]
    return [image_id for _, _, image_id in sorted(ranked)]
