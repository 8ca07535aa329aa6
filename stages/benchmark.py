"""import@<benchmark>: bring in another labelled dataset, with its own bytes and splits."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from pipeline import benchmarks
from pipeline.dataset import LABELS
from pipeline.errors import UserError
from pipeline.files import replacing_folder, write_json
from pipeline.params import Params
from pipeline.photographs.splits import SPLITS
from pipeline.progress import track
from pipeline.records import IMAGE, ShardWriter
from pipeline.registry import kind_module
from stages.run import run

BENCHMARKS = Path("data/benchmarks")
SET_ASIDE = "set-aside.json"
ROWS_PER_SHARD = 200  # at most; originals of many megapixels
BENCHMARK = pa.schema(
    [(name, pa.string()) for name in ("image_id", "group", "split")]
    + [("label", pa.int8()), ("source", pa.string()), ("image", IMAGE), ("width", pa.int32()), ("height", pa.int32())]
    + [("sha256", pa.string()), ("licence", pa.string())]
)


def main(params: Params, key: str) -> None:
    kind = kind_module(benchmarks, params.benchmarks[key].kind)
    aside: list[dict] = []
    counts: Counter[tuple[str, int]] = Counter()
    with replacing_folder(BENCHMARKS / key) as folder:
        with ExitStack() as shards:
            writers = {split: shards.enter_context(ShardWriter(folder, split, BENCHMARK, ROWS_PER_SHARD)) for split in SPLITS}
            for row in track(kind.rows(key, params, aside), f"{key}: reading", unit="image"):
                writers[row["split"]].add(row)
                counts[row["split"], row["label"]] += 1
        _check(key, counts, aside)
        write_json(folder / SET_ASIDE, aside)
    found = ", ".join(f"{counts[split, label]} {name}" for split in SPLITS for label, name in enumerate(LABELS) if counts[split, label])
    print(f"{key}: {found} images in {', '.join(s for s in SPLITS if counts[s, 0] + counts[s, 1])}; {len(aside)} set aside")


def _check(key: str, counts: Counter, aside: list[dict]) -> None:
    """A benchmark without a test split, or of one class, can judge no detector."""
    first = f" ({len(aside)} images were set aside, the first because: {aside[0]['reason']})" if aside else ""
    for label, name in enumerate(LABELS):
        if not any(counts[split, label] for split in SPLITS):
            raise UserError(f"benchmarks.{key}.source: there is no readable {name} image{first}; give a dataset with both labels")
    for label, name in enumerate(LABELS):
        if not counts["test", label]:
            raise UserError(
                f"benchmarks.{key}.source: the test split has no readable {name} image{first}; give a dataset with a test split of both, "
                "or say under `splits` which of its splits is the test split"
            )


if __name__ == "__main__":
    run(main)
