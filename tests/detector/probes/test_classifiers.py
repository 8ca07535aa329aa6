"""What a classifier finds that sees one thing only: nothing in what pairs share, everything in what a class has to itself."""

from __future__ import annotations

import pyarrow as pa
import pytest

from detector.probes.blockiness import SIZE
from detector.probes.classifiers import header_differences, probes
from detector.probes.draws import Draws
from detector.probes.spectrum import BINS
from tests.detector.probes.made import noise, pairs

DRAWS = Draws(100, 1)
CHANCE = {f"{key}{side}": 0.5 for key in ("AUROC", "paired_win_rate") for side in ("", "_low", "_high")}


def various(number: int, group: str) -> dict:
    """Everything differs between pairs and is the same within them."""
    sizes = {"width": 64 + 32 * (number % 3), "height": 64, "encoder": f"setting {number % 4}", "metadata": ["icc"][: number % 2]}
    values = {"spectrum": noise(number, BINS), "blockiness": noise(number + 500, SIZE), "bytes_per_pixel": float(number % 7)}
    return sizes | values | {"prompt": f"A photo of {group}, number {number}"}


def test_what_pairs_share_says_exactly_nothing():
    found = probes(pairs(various), DRAWS)
    assert found == {name: CHANCE for name in ("header", "bytes_per_pixel", "spectrum", "blockiness", "caption")}
    assert header_differences(pairs(various)) == []


LEAKS = {
    "a format of its own": ("header", lambda number, group: {"format": "JPEG"}),
    "a mode of its own": ("header", lambda number, group: {"mode": "L"}),
    "one pixel less": ("header", lambda number, group: {"width": 63 + 32 * (number % 3)}),
    "other encoder settings": ("header", lambda number, group: {"encoder": "generators'"}),
    "a tag": ("header", lambda number, group: {"metadata": ["Software"]}),
    "larger files": ("bytes_per_pixel", lambda number, group: {"bytes_per_pixel": 8.0 + number % 3}),
    "more detail": ("spectrum", lambda number, group: {"spectrum": noise(number + 900, BINS, 3.0)}),
    "a grid": ("blockiness", lambda number, group: {"blockiness": noise(number + 900, SIZE, 3.0)}),
    "a style in the prompt": ("caption", lambda number, group: {"prompt": f"A photo of {group}, masterpiece"}),
    "no prompt": ("caption", lambda number, group: {"prompt": None}),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found_by_the_probe_that_looks_there_and_by_no_other(leak):
    probe, counterpart = LEAKS[leak]
    cues = pairs(various, counterpart)
    found = probes(cues, DRAWS)
    leaking = found.pop(probe)
    assert leaking["AUROC_low"] > 0.95 and leaking["paired_win_rate_low"] > 0.95
    assert set(map(str, found.values())) == {str(CHANCE)}
    assert len(header_differences(cues)) == (40 if probe == "header" else 0)


SHIFTS = {
    "bytes_per_pixel": lambda shift: lambda number, group: {"bytes_per_pixel": number + shift},
    "spectrum": lambda shift: lambda number, group: {"spectrum": noise(number, BINS, shift)},
    "blockiness": lambda shift: lambda number, group: {"blockiness": noise(number, SIZE, shift)},
}


@pytest.mark.parametrize("probe", SHIFTS)
def test_a_small_shift_of_every_counterpart_is_missed_by_auroc_and_found_within_pairs(probe):
    found = probes(pairs(SHIFTS[probe](0.0), SHIFTS[probe](0.02)), DRAWS)[probe]
    assert max(found["AUROC"], found["AUROC_low"]) < 0.55, "no warning (see detector.page.audit)"
    assert found["paired_win_rate"] == found["paired_win_rate_low"] == found["paired_win_rate_high"] == 1.0


def test_a_shift_in_three_of_four_pairs_wins_three_of_four_and_is_as_sure_as_groups_agree():
    found = probes(pairs(various, lambda n, group: {"bytes_per_pixel": n % 7 + (0.2 if n % 4 else -0.1)}), DRAWS)["bytes_per_pixel"]
    assert found["paired_win_rate"] == 0.75 and found["paired_win_rate_low"] < 0.75 < found["paired_win_rate_high"]


def test_one_pair_with_another_header_is_named():
    cues = pairs(various, lambda number, group: {"height": 65} if number == 7 else {})
    assert header_differences(cues) == ["7"]


def test_what_holds_within_one_group_only_is_not_found():
    """Each group's counterparts have a word of their own: asked about groups it was fitted on, a classifier would know them all."""
    cues = pairs(lambda number, group: {"prompt": f"real{group}"}, lambda number, group: {"prompt": f"made{group}"})
    assert probes(cues, DRAWS)["caption"]["AUROC"] == pytest.approx(0.5, abs=0.02)


def test_what_cannot_be_asked_is_left_out():
    without = pairs(lambda number, group: {"prompt": None})
    assert "caption" not in probes(without, DRAWS)
    one = without.filter(pa.array([group == "g0" for group in without["group"].to_pylist()]))
    assert probes(one, DRAWS) == {} and probes(without.slice(0, 0), DRAWS) == {}
    assert probes(without.slice(0, 40), DRAWS) == {}, "photographs alone"


def test_captions_without_a_word_are_no_fault():
    assert probes(pairs(lambda number, group: {"prompt": ""}), DRAWS)["caption"] == CHANCE


def test_groups_that_hold_one_label_each_are_measured_as_well():
    """As in many benchmarks."""
    cues = pairs(lambda number, group: {}, lambda number, group: {"group": f"{group} made", "format": "JPEG"})
    assert probes(cues, DRAWS)["header"] == {"AUROC": 1.0, "AUROC_low": 1.0, "AUROC_high": 1.0}, "and have no pairs"
