"""Named hyper-parameters of the detectors; the estimators' own defaults were chosen out-of-fold on the embedded features."""

from __future__ import annotations

from typing import Any

from pipeline.errors import UserError

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {
        # The head alone is given; solver and penalty are ours.
        "linear": {"C": 0.1, "class_weight": None},
        # Optimiser and learning rate (AdamW, 1e-3) are ours, and so is the training loss as what `patience` watches:
        # the paper gives neither. Published weights act on features as they are.
        "orthogonal": {
            "projections": 8,
            "decorrelation": 0.33,
            "label_smoothing": 0.1,
            "standardise": False,
            "class_weight": None,
            "batch": 64,
            "max_iter": 200,
            "learning_rate": 1e-3,
            "weight_decay": 1e-2,
            "patience": 5,
        },
        # The last epoch is kept; theirs is the best of validation AUROC, on the split that is also reported.
        "concept": {
            "kl": 1e-4,
            "prior": 1e-4,
            "gate_penalty": 0.0,
            "closed": 0.0,
            "refit": None,
            "temperature": 0.1,
            "open_start": False,
            "standardise": False,
            "class_weight": None,
            "batch": 256,
            "max_iter": 100,
            "max_steps": None,
            "patience": None,
            "learning_rate": 1e-3,
            "gate_learning_rate": 1e-2,
            "weight_decay": 1e-5,
        },
    }
}
"""{preset: {kind of detector: constructor arguments}}. `paper`: Willi et al. 2026 (arXiv 2602.12381) and its repository."""


def preset(name: str, kind: str) -> dict[str, Any]:
    """The constructor arguments of `kind` ("linear", "orthogonal" or "concept"). Raises UserError for a name that is none."""
    if name not in PRESETS:
        raise UserError(f"preset: there is no {name!r}; there is {', '.join(PRESETS)}")
    if kind not in PRESETS[name]:
        raise UserError(f"preset: {name} has no detector {kind!r}; it has {', '.join(PRESETS[name])}")
    return dict(PRESETS[name][kind])
