"""Feature tables made by hand."""

from __future__ import annotations

import numpy as np

from detector.features import IMAGE, FeatureTable


def feature_table(rows: list[tuple[str, str, str, str, int]], seed: int = 0, shift: float = 3.0) -> FeatureTable:
    """Rows are (image_id, group, split, source, label); synthetic ones are shifted along the first of four axes."""
    random = np.random.default_rng(seed)
    image_id, group, split, source, label = (np.array(column) for column in zip(*rows, strict=True))
    x = random.normal(size=(len(rows), 4)).astype(np.float32)
    x[:, 0] += shift * label
    return FeatureTable(image_id, group, split, source, np.full(len(rows), IMAGE), label, x, x)


def paired(groups: list[str], splits: dict[str, str], real: str, made: list[str], each: int = 3) -> list[tuple]:
    """`each` images a group, real and of every source in `made`."""
    return [
        (f"{group}-{number}", group, splits[group], source, int(source != real))
        for group in groups
        for number in range(each)
        for source in (real, *made)
    ]


def concatenated(*tables: FeatureTable) -> FeatureTable:
    """The rows of all tables, of one CLIP."""
    columns = [name for name in FeatureTable.__dataclass_fields__ if name != "clip"]
    return FeatureTable(**{name: np.concatenate([getattr(table, name) for table in tables]) for name in columns}, clip=tables[0].clip)
