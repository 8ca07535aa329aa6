"""The bank keeps what is recognised, in order and with its polarity."""

import numpy as np
import pytest

import detector.clip
from detector.concepts import concept_bank
from pipeline.errors import UserError
from pipeline.files import write_json

CONCEPTS = [
    {"name": "exposure", "low": "dark", "high": "bright", "category": "technique", "accuracy": 0.9, "auroc": 0.95},
    {"name": "noise", "low": "clean", "high": "noisy", "accuracy": 0.6},
    {"name": "depth", "low": "flat", "high": "deep", "category": "lens", "accuracy": None, "auroc": None},
]
TEXTS = {"dark": (3, 0, 0), "bright": (0, 2, 0), "clean": (0, 1, 0), "noisy": (0, 0, 5), "flat": (1, 0, 1), "deep": (1, 0, -1)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    class Words:
        def __init__(self, folder):
            pass

        def text_features(self, texts):
            return np.array([TEXTS[text] for text in texts], np.float32)

    monkeypatch.setattr(detector.clip, "Clip", Words)
    write_json(tmp_path / "concepts.json", CONCEPTS)
    return tmp_path


def test_only_recognised_concepts_are_kept(folder):
    assert concept_bank(folder, 0.7).names == ["exposure"]
    assert concept_bank(folder, 0.6).names == ["exposure", "noise"]


def test_null_keeps_the_unmeasured_too(folder):
    bank = concept_bank(folder, None)
    assert bank.names == ["exposure", "noise", "depth"]
    assert [concept["accuracy"] for concept in bank.concepts] == [0.9, 0.6, None]
    assert bank.concepts[1] == {"name": "noise", "low": "clean", "high": "noisy", "category": None, "accuracy": 0.6}


def test_directions_point_from_low_to_high_whatever_the_lengths_of_the_texts(folder):
    directions = concept_bank(folder, None).directions
    half = 0.5**0.5
    assert np.allclose(directions, [(-half, half, 0), (0, -half, half), (0, 0, -1)], atol=1e-6)


def test_no_concept_is_an_error_with_a_remedy(folder):
    with pytest.raises(UserError, match="clip.recognised: .* recognises no concept .*0.95.*write null to keep all"):
        concept_bank(folder, 0.95)


def test_prompts_that_are_one_text_to_the_model_are_refused(folder, monkeypatch):
    monkeypatch.setitem(TEXTS, "noisy", (0, 4, 0))
    with pytest.raises(UserError, match="reads both prompts of the concept 'noise' as the same text"):
        concept_bank(folder, None)
