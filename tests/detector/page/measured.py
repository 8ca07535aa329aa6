"""Metrics of rivals and attribution made by hand, as their files have them."""

from __future__ import annotations

GENERATORS = {"first": "diffusion", "second": "flow", "third": "patch"}


def around(key: str, value: float, half: float = 0.05) -> dict[str, float]:
    return {key: value, f"{key}_low": value - half, f"{key}_high": value + half}


def system(value: float, difference: float, **more) -> dict:
    rates = {**around("specificity", 0.8), **around("recall", 0.7), **around("AUROC", value)}
    means = {**around("mAP", value), **around("mAP_unseen", value - 0.04), **rates}
    return {"all": {**means, "minus_headline": around("mAP", difference)}, **more}


def left_out(value: float, difference: float) -> dict:
    return {"left_out": {**around("AP", value), "minus_headline": around("AP", difference)}}


def at_strengths(strengths: dict[str, float], value: float) -> dict:
    return {name: {"strength": strength, **around("mAP", value), "specificity": 0.4} for name, strength in strengths.items()}


def made_rivals() -> dict:
    return {
        "originals": 17,
        "without_caption": 3,
        "settings": {"augmented_views": 1, "clipdet": {"C": 1.0}, "univfd": {"C": 0.5}, "robust_mlp": {"epochs": 8, "batch": 256}},
        "systems": {
            "clipdet": system(
                0.81,
                0.06,
                **left_out(0.66, -0.1),
                matched={"cells": 2, **around("AP", 0.88), **around("matched_AP", 0.55)},
                robustness={"jpeg": at_strengths({"30": 30}, 0.61), "crop": at_strengths({"0-5": 0.5}, 0.62)},
            ),
            "robust-mlp": system(0.71, -0.01, **left_out(0.6, 0.0), minus_image=around("mAP", 0.02)),
            "robust-mlp-text": system(0.5, -0.3),
            "univfd-nn-11": system(0.6, -0.2),
            "univfd-nn-9": system(0.78, 0.03, robustness={"blur": at_strengths({"1": 1, "0-5": 0.5}, 0.63)}),
        },
        "clipdet_pairs": {
            "curve": {
                str(n): {"pairs": n, **around("AP", 0.6 + n / 1000), **around("AUROC", 0.65 + n / 1000), "spread": 0.02}
                for n in (157, 10, 100)
            },
            "available": 157,
            "left_out": {"10000": 10000, "1000": 1000},
            "one_generator": {**around("AP", 0.58), **around("AUROC", 0.59)},
            "robustness": {
                "unaltered": {**around("mAP", 0.76), "specificity": 0.7},
                "crop": at_strengths({"0-5": 0.5}, 0.52),
            },
        },
    }


KNOWN = {"second": 5, "photographs": 5}  # as a file has them: by no order that matters


def answered(auroc: float) -> dict:
    metrics = {"accuracy": 0.6, "AUROC": auroc, "OSCR": 0.4, "TNR_at_95pct_TPR": 0.2, "detection_accuracy": 0.6}
    blocks = {f"block-{number}": {**around("accuracy", number / 20), **around("AUROC", 0.5)} for number in (0, 10, 2)}
    return {key: shown for name, value in metrics.items() for key, shown in around(name, value).items()} | {"blocks": blocks}


def division(auroc: float) -> dict:
    unknown = {**around("AUROC", 0.7), **around("standing", 0.3), "taken_for": {"photographs": 0.25, "second": 0.75}}
    confusion = {"second": {"photographs": 0.4, "second": 0.6}, "photographs": {"photographs": 0.9, "second": 0.1}}
    return answered(auroc) | {"confusion": confusion, "per_unknown": {"third": unknown}}


def made_attribution() -> dict:
    sizes = {"known": KNOWN, "unknown": {"third": 5}, "validation_unknown": {"first": 5}}
    methods = {"regression": division(0.8), "neighbours": division(0.5)}
    against = {name: {other: around("AUROC", 0.3) for other in GENERATORS if other != name} for name in GENERATORS}
    targets = {
        name: {"against": against[name], "photographs": around("AUROC", 0.9), "others": around("AUROC", 0.3)} for name in sorted(GENERATORS)
    }
    vote = {**around("accuracy", 0.4), "chance": 1 / 3, "taken_for": {name: {name: 1.0} for name in GENERATORS}}
    mean = {"photographs": around("AUROC", 0.9), "others": around("AUROC", 0.3)}
    return {
        "originals": 17,
        "photographs": 34,
        "origin": {
            "mean": {"regression": answered(0.8), "neighbours": answered(0.5)},
            "divisions": {name: sizes | methods for name in ("division-1", "division-10", "division-2")},
        },
        "occ_clip": {
            "shots": 50,
            "shots_used": {"first": 50.0, "second": 50.0, "third": 20.0},
            "draws": 1,
            "epochs": 4,
            "learning_rate": 0.01,
            "targets": targets,
            "mean": mean,
            "one_vs_rest": vote,
            "without_adversarial": {"mean": mean},
            "minus_without_adversarial": {"others": around("AUROC", 0.12), "photographs": around("AUROC", -0.01)},
        },
        "kept": {
            "block": 10,
            "validation_AUROC": 0.61,
            **around("unknown_AUROC", 0.52),
            **around("unknown_called_unknown", 0.35),
            "images": 40,
            "originals": 4,
            **around("accuracy", 0.55),
            **around("named", 0.45),
            **around("called_unknown", 0.25),
        },
    }
