"""audit@<source> checks and measures one packaged source; audit (without a name) merges, and fails on a breach of a hard rule.

audit-import@<benchmark> measures a benchmark, which is never failed. Each decodes its own images once; what counterparts are
compared with is read from the photographs' cues and features.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detector.captions import read_captions
from detector.features import IMAGE, RECONSTRUCTION, read_features
from detector.probes.belonging import captions_belong, features_belong
from detector.probes.classifiers import header_differences, probes
from detector.probes.closeness import closeness_of_counterparts, closeness_of_photographs
from detector.probes.cues import CueCollector, pairs_of, read_cues
from detector.probes.draws import Draws
from pipeline.audit.benchmark import measure_benchmark
from pipeline.audit.rules import audit_source
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.files import read_json, replacing_folder, write_json, write_metrics
from pipeline.images import sha256
from pipeline.params import Params
from pipeline.photographs.splits import SPLITS
from pipeline.records import read_rows
from stages.run import run

DATASET, FEATURES, AUDIT = Path("data/dataset"), Path("data/features"), Path("data/audit")
ONLY_THE_PICTURE = "nothing but the picture tells the classes apart"
EXACT = 1e-9
"""How far the header-only classifier may be from 0.5: equal headers leave it no choice (see `detector.probes.classifiers`)."""
SHOWN = 5


def main(params: Params, name: str | None = None) -> None:
    if name is None:
        merge(params)
        return
    draws, cues = Draws(params.evaluation.bootstrap, params.seed), CueCollector()
    if name in params.benchmarks:
        folder = Path("data/benchmarks") / name
        result = measure_benchmark(folder, read_json(folder / "set-aside.json"), cues.look)
        result["probes"] = probes(cues.table(), draws)
    elif name == PHOTOGRAPHS:
        result = _photographs(cues, draws)
    else:
        result = _counterparts(name, cues, draws)
    with replacing_folder(AUDIT / name) as folder:
        cues.write(folder)
        write_json(folder / "audit.json", result)


def _photographs(cues: CueCollector, draws: Draws) -> dict[str, Any]:
    result = audit_source(DATASET, PHOTOGRAPHS, [], cues.look)
    captions = read_captions(FEATURES / PHOTOGRAPHS)
    rows = list(_packaged(PHOTOGRAPHS, ["image_id", "prompt", "sha256"]))
    prompts = {row["image_id"]: row["prompt"] for row in rows if row["prompt"] is not None}
    stale = [features_belong(FEATURES / PHOTOGRAPHS, _images(rows)), captions_belong(captions, prompts)]
    measured = {} if any(stale) else closeness_of_photographs(_features(PHOTOGRAPHS), captions, draws)
    return result | {"breaches": _together(result["breaches"], *stale), "clip": measured}


def _counterparts(name: str, cues: CueCollector, draws: Draws) -> dict[str, Any]:
    generated = Path("data/generated") / name
    dropped = read_json(generated / "dropped.json")
    result = audit_source(DATASET, name, dropped, cues.look)
    rows = list(_packaged(name, ["image_id", "sha256", "width", "height", "made_width", "made_height"]))
    pairs = pairs_of(read_cues(AUDIT / PHOTOGRAPHS), cues.table())
    found = probes(pairs, draws)
    told = abs(found["header"]["AUROC"] - 0.5) > EXACT if "header" in found else False
    stale = features_belong(FEATURES / name, [*_images(rows), *_reconstructions(generated)])
    measured = {}
    if not stale:
        captions = read_captions(FEATURES / PHOTOGRAPHS)
        measured = closeness_of_counterparts(_features(PHOTOGRAPHS), _features(name), captions, draws)
    sizes = Counter(
        f"{row['made_width']}x{row['made_height']} in place of {row['width']}x{row['height']}" for row in rows if _resampled(row)
    )
    return result | {
        "breaches": _together(result["breaches"], stale, {ONLY_THE_PICTURE: header_differences(pairs)} if told else {}),
        "pairs": len(pairs) // 2,
        "set_aside": dropped,
        "resampled": sizes.total(),
        "sizes": sizes,
        "prompts_cut": read_json(f"metrics/generated/{name}.json")["prompts_cut"],
        "probes": found,
        "clip": measured,
    }


def merge(params: Params) -> None:
    """Write what was measured of all sources; then fail where a source of the dataset breaks a rule. Raises UserError."""
    results = {name: read_json(AUDIT / name / "audit.json") for name in (PHOTOGRAPHS, *params.generators)}
    metrics = {name: _metrics(result) for name, result in results.items()}
    if params.benchmarks:
        metrics["benchmarks"] = {name: _benchmark(read_json(AUDIT / name / "audit.json")) for name in params.benchmarks}
    write_metrics("metrics/audit.json", metrics)
    faults = [
        f"{name} breaks {rule!r}: {', '.join(ids[:SHOWN])}{f' and {len(ids) - SHOWN} more' if len(ids) > SHOWN else ''}"
        for name, result in results.items()
        for rule, ids in result["breaches"].items()
    ]
    if faults:
        raise UserError("audit: " + "; ".join(faults) + "; mend the source and run again")


def _metrics(result: dict) -> dict:
    counts = {key: result[key] for key in ("rows", "dropped", "pairs", "resampled") if key in result}
    broken = {rule: len(ids) for rule, ids in result["breaches"].items()}
    parts = {"reasons": _keyed(result["reasons"]), "broken": _keyed(broken)}
    parts |= {key: result[key] for key in ("prompts_cut", "probes", "clip") if key in result}
    return counts | {"breaches": sum(broken.values())} | {key: part for key, part in parts.items() if part}


def _benchmark(measured: dict) -> dict:
    """The plain counts of a benchmark, the images and the formats of each label, and what the probes find."""
    plain = {key: value for key, value in measured.items() if isinstance(value, int)}
    images: dict[str, int] = {}
    for by_label in measured["counts"].values():
        for label, by_source in by_label.items():
            images[label] = images.get(label, 0) + sum(by_source.values())
    kept = {key: measured[key] for key in ("formats", "distinct_sizes", "probes")}
    return plain | {"images": images} | kept


def _keyed(counts: dict[str, int]) -> dict[str, int]:
    """Counts under keys a metric may have: words of a sentence joined by underscores."""
    keyed: Counter = Counter()
    for text, count in counts.items():
        keyed[re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:80]] += count
    return dict(keyed)


def _together(*breaches: dict[str, list[str]]) -> dict[str, list[str]]:
    rules = dict.fromkeys(rule for broken in breaches for rule in broken)
    return {rule: sorted({image_id for broken in breaches for image_id in broken.get(rule, [])}) for rule in rules}


def _packaged(name: str, columns: list[str]) -> Iterator[dict]:
    return (row for split in SPLITS for row in read_rows(DATASET / name, split, columns))


def _images(rows: list[dict]) -> Iterator[tuple[str, str, str]]:
    return ((IMAGE, row["image_id"], row["sha256"]) for row in rows)


def _reconstructions(generated: Path) -> Iterator[tuple[str, str, str]]:
    for row in read_rows(generated, "counterparts", ["image_id", "reconstruction"]):
        if row["reconstruction"]:
            yield RECONSTRUCTION, row["image_id"], sha256(row["reconstruction"]["bytes"])


def _features(name: str):
    table = read_features(FEATURES, [name])
    return table.where(table.role == IMAGE)


def _resampled(row: dict) -> bool:
    return (row["made_width"], row["made_height"]) != (row["width"], row["height"])


if __name__ == "__main__":
    run(main)
