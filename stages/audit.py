"""audit@<source> checks and measures one packaged source; audit (without a name) merges, and fails on a breach of a hard rule.

audit-import@<benchmark> measures a benchmark, which is never failed. Each decodes its own images once; what counterparts are
compared with is read from the photographs' cues and features.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detector.captions import read_captions
from detector.features import ALTERED, AUGMENTED, IMAGE, IMAGES, RANDOM, RECONSTRUCTION, read_features
from detector.probes.belonging import RULES as FEATURE_RULES
from detector.probes.belonging import Views, captions_belong, features_belong, remaking
from detector.probes.classifiers import header_differences, probes
from detector.probes.closeness import closeness_of_counterparts, closeness_of_photographs
from detector.probes.cues import CueCollector, encoded_otherwise, pairs_of, read_cues
from detector.probes.draws import Draws
from detector.views import plan
from pipeline.audit.benchmark import measure_benchmark
from pipeline.audit.rules import ENCODER, REMEDIES, audit_source
from pipeline.dataset import LABELS, PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.files import read_json, replacing_folder, write_json, write_metrics
from pipeline.images import sha256
from pipeline.params import Params
from pipeline.photographs.splits import SPLITS
from pipeline.records import read_rows
from pipeline.seeds import digest
from pipeline.sentence import sentence
from pipeline.sizes import resampled
from stages.run import run

DATASET, FEATURES, AUDIT = Path("data/dataset"), Path("data/features"), Path("data/audit")
AUDITED = Path("data/audited.json")
"""What was audited without a breach: whatever is learned of or published depends on it, and on no number of the audit."""
ONLY_THE_PICTURE = "nothing but the picture tells the classes apart"
EXACT = 1e-9
"""How far the header-only classifier may be from 0.5: equal headers leave it no choice (see `detector.probes.classifiers`)."""
ONE_GENERATOR = "no two generators show the same pixels"
SHOWN = 5
ENCODED = 100
"""Pairs, at most, whose images are encoded again."""


def main(params: Params, name: str | None = None) -> None:
    if name is None:
        merge(params)
        return
    draws = Draws(params.evaluation.bootstrap, params.seed)
    cues = CueCollector(() if name in params.benchmarks else _encoded_again())
    if name in params.benchmarks:
        folder = Path("data/benchmarks") / name
        result = measure_benchmark(folder, read_json(folder / "set-aside.json"), cues.look)
        result["probes"] = probes(cues.table(), draws)
    elif name == PHOTOGRAPHS:
        result = _photographs(cues, draws, _views(params))
    else:
        result = _counterparts(name, cues, draws, _views(params))
    with replacing_folder(AUDIT / name) as folder:
        cues.write(folder)
        write_json(folder / "audit.json", result)


def _photographs(cues: CueCollector, draws: Draws, views: Views) -> dict[str, Any]:
    result = audit_source(DATASET, PHOTOGRAPHS, [], cues.look)
    folder = FEATURES / PHOTOGRAPHS
    rows = list(_packaged(PHOTOGRAPHS, ["image_id", "group", "split", "prompt", "sha256"]))
    prompts = {row["image_id"]: row["prompt"] for row in rows if row["prompt"] is not None}
    stale = [features_belong(folder, _images(rows, PHOTOGRAPHS), views, folder), captions_belong(folder, prompts)]
    measured = {} if any(stale) else closeness_of_photographs(_features(PHOTOGRAPHS), read_captions(folder), draws)
    return result | {"breaches": _together(result["breaches"], *stale), "clip": measured}


def _counterparts(name: str, cues: CueCollector, draws: Draws, views: Views) -> dict[str, Any]:
    generated = Path("data/generated") / name
    dropped = read_json(generated / "dropped.json")
    result = audit_source(DATASET, name, dropped, cues.look)
    rows = list(_packaged(name, ["image_id", "group", "split", "sha256", "width", "height", "made_width", "made_height"]))
    pairs = pairs_of(read_cues(AUDIT / PHOTOGRAPHS), cues.table())
    found = probes(pairs, draws)
    telling = "header" in found and abs(found["header"]["AUROC"] - 0.5) > EXACT
    told = {ONLY_THE_PICTURE: header_differences(pairs)} if telling else {}
    otherwise = {ENCODER: ids} if (ids := encoded_otherwise(pairs)) else {}
    images = [*_images(rows, name), *_reconstructions(generated, name)]
    stale = features_belong(FEATURES / name, images, views, FEATURES / PHOTOGRAPHS)
    measured = {}
    if not stale and not set(FEATURE_RULES) & set(read_json(AUDIT / PHOTOGRAPHS / "audit.json")["breaches"]):
        captions = read_captions(FEATURES / PHOTOGRAPHS)
        measured = closeness_of_counterparts(_features(PHOTOGRAPHS), _features(name), captions, draws)
    sizes = Counter(
        f"{row['made_width']}x{row['made_height']} in place of {row['width']}x{row['height']}" for row in rows if resampled(row)
    )
    return result | {
        "breaches": _together(result["breaches"], stale, otherwise, told),
        "pairs": len(pairs) // 2,
        "set_aside": dropped,
        "resampled": sizes.total(),
        "sizes": sizes,
        "prompts_cut": read_json(f"metrics/generated/{name}.json")["prompts_cut"],
        "probes": found,
        "clip": measured,
    }


def merge(params: Params) -> None:
    """Write what was measured of all sources; then fail where a source of the dataset breaks a rule, or say that none does.

    Raises UserError.
    """
    AUDITED.unlink(missing_ok=True)
    results = {name: read_json(AUDIT / name / "audit.json") for name in (PHOTOGRAPHS, *params.generators)}
    for name, ids in _shown_twice(params).items():
        results[name]["breaches"][ONE_GENERATOR] = ids
    metrics = {name: _metrics(result) for name, result in results.items()}
    if params.benchmarks:
        metrics["benchmarks"] = {name: _benchmark(read_json(AUDIT / name / "audit.json")) for name in params.benchmarks}
    write_metrics("metrics/audit.json", metrics)
    faults = [_fault(name, rule, ids) for name, result in results.items() for rule, ids in result["breaches"].items()]
    if faults:
        raise UserError("audit: " + "; ".join(faults))
    write_json(AUDITED, {"sources": list(results)})


def _fault(name: str, rule: str, ids: list[str]) -> str:
    shown = ", ".join(map(sentence, ids[:SHOWN])) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
    if rule == ONE_GENERATOR:
        return f"{name} breaks {rule!r}: {shown} (pixels_sha256 in {AUDIT}/*/cues.parquet shows all; leave out one of the generators)"
    remedy = f"run {remaking(name)}" if rule in FEATURE_RULES else REMEDIES.get(rule, "mend the source and run again")
    return f"{name} breaks {rule!r}: {shown} (all in {AUDIT / name / 'audit.json'}; {remedy})"


def _shown_twice(params: Params) -> dict[str, list[str]]:
    """{generator: `generator/id` of its images whose pixels another generator shows too}."""
    owners: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in params.generators:
        for row in read_cues(AUDIT / name, ["image_id", "pixels_sha256"]).to_pylist():
            owners[row["pixels_sha256"]].append((name, row["image_id"]))
    found: dict[str, list[str]] = defaultdict(list)
    for hashed, images in owners.items():
        if hashed and len({name for name, _ in images}) > 1:
            for name, image_id in images:
                found[name].append(f"{name}/{image_id}")
    return {name: sorted(ids) for name, ids in found.items()}


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


def _encoded_again() -> set[str]:
    """The same for every source, chosen by nothing but the ids."""
    ids = {row["image_id"] for row in _packaged(PHOTOGRAPHS, ["image_id"])}
    return set(sorted(ids, key=lambda image_id: digest("encoded", image_id))[:ENCODED])


def _images(rows: list[dict], name: str) -> Iterator[tuple]:
    """What `detector.probes.belonging.KNOWN` names, of packaged rows."""
    label = LABELS.index("real" if name == PHOTOGRAPHS else "synthetic")
    return ((IMAGE, row["image_id"], row["group"], row["split"], name, label, row["sha256"]) for row in rows)


def _reconstructions(generated: Path, name: str) -> Iterator[tuple]:
    """The same of reconstructions, which are controls: their label is the photograph's."""
    for row in read_rows(generated, "counterparts", ["image_id", "group", "split", "reconstruction"]):
        if row["reconstruction"]:
            hashed = sha256(row["reconstruction"]["bytes"])
            yield RECONSTRUCTION, row["image_id"], row["group"], row["split"], name, LABELS.index("real"), hashed


def _views(params: Params) -> Views:
    """Out-of-fold every image is trained on and asked about, else the splits say which; of reconstructions nothing is asked."""
    names = {what: [view.name for view in views] for what, views in plan(params.views, params.seed).items()}
    always = params.detectors.folds is not None

    def wanted(role: str, split: str) -> dict[str, list[str]]:
        image = role == IMAGE
        of = {IMAGES: True, AUGMENTED: always or split == "train", ALTERED: image and (always or split == "test"), RANDOM: image}
        return {what: names[what] for what, holds in of.items() if holds}

    return wanted


def _features(name: str):
    table = read_features(FEATURES, [name])
    return table.where(table.role == IMAGE)


if __name__ == "__main__":
    run(main)
