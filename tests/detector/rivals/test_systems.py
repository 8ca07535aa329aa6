"""Which systems there are, what each reads, and what the captions of paired data can and cannot give away."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from detector.captions import Captions
from detector.evaluation.crossfit import CrossFit, parts
from detector.evaluation.generalization import Table
from detector.rivals.comparison import Comparison
from detector.rivals.outoffold import RivalFits
from detector.rivals.systems import System, caption_rows, systems
from pipeline.dataset import PHOTOGRAPHS
from pipeline.detector_params import Rivals
from tests.detector.tables import feature_table, paired

GROUPS = [f"g{i:02d}" for i in range(12)]
MADE = ["a", "b"]
RIVALS = Rivals(
    clipdet={"C": 1.0, "pairs": [10], "draws": 1},
    univfd={"C": 1.0, "neighbours": [1, 3, 3]},
    robust_mlp={"epochs": 2, "batch": 64, "learning_rate": 0.01, "cvar": 0.8, "gamma": 0.5, "rho": 0.05, "left_out": True},
)
PARAMS = SimpleNamespace(rivals=RIVALS, seed=0)


def captions_of(table, left_out: tuple[str, ...] = ()) -> Captions:
    ids = np.array(sorted(set(table.image_id.tolist()) - set(left_out)))
    projected = np.random.default_rng(3).normal(size=(len(ids), 5)).astype(np.float32)
    return Captions(ids, np.full(len(ids), "hash"), projected, {})


def setting():
    table = feature_table(paired(GROUPS, dict.fromkeys(GROUPS, "train"), PHOTOGRAPHS, MADE, each=6))
    like = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, 4, 0), 0.1)
    return table, like, Comparison(like, Table(GROUPS, (), 50, 0, PHOTOGRAPHS), MADE)


def named(captions) -> dict[str, System]:
    return {system.name: system for system in systems(PARAMS, captions)}


def test_every_system_is_there_once_and_reads_its_own_feature_point():
    table, _, _ = setting()
    table = replace(table, projected=table.pooled[:, :3])
    found = named(captions_of(table))
    assert list(found) == ["clipdet", "univfd", "univfd-nn-1", "univfd-nn-3", "robust-mlp", "robust-mlp-image", "robust-mlp-text"]
    assert {name: system.read(table).shape[1] for name, system in found.items()} == {
        "clipdet": 4,
        **dict.fromkeys(["univfd", "univfd-nn-1", "univfd-nn-3", "robust-mlp-image"], 3),
        "robust-mlp": 8,
        "robust-mlp-text": 5,
    }
    assert [found[f"univfd-nn-{k}"].build().k for k in (1, 3)] == [1, 3], "each has its own number of neighbours"
    assert [name for name, system in found.items() if system.matched] == ["clipdet", "univfd"], "an MLP takes long to fit"
    assert [name for name in found if name not in named(None)] == ["robust-mlp", "robust-mlp-text"], "without captions the image half alone"


def test_a_caption_is_its_photographs_and_its_counterparts():
    table, _, _ = setting()
    captions = captions_of(table, left_out=("g00-0",))
    rows = caption_rows(captions, table.image_id)
    for image_id in ("g00-1", "g11-5"):
        own = rows[table.image_id == image_id]
        assert len(own) == 3 and (own == captions.projected[captions.image_id == image_id]).all()
    assert np.isnan(rows[table.image_id == "g00-0"]).all() and np.isfinite(rows[table.image_id != "g00-0"]).all()


def test_text_alone_is_exactly_at_chance_where_captions_are_shared_and_leaks_where_they_are_not():
    table, like, compared = setting()
    system = named(captions_of(table))["robust-mlp-text"]
    shared = compared.trained_on_all(RivalFits(system, like))
    for name in MADE:
        assert shared["generators"][name]["AP"] == 0.5
    assert (shared["AUROC"], shared["AUROC_low"], shared["AUROC_high"]) == (0.5, 0.5, 0.5)
    assert shared["paired_win_rate"] == 0.5, "a photograph and its counterparts tie to the last bit"

    def prompts_by_class(rows):
        return system.read(rows) + 8 * rows.label[:, None].astype(np.float32)

    told = compared.trained_on_all(RivalFits(replace(system, read=prompts_by_class), like))
    assert told["AUROC"] > 0.9, "a prompt of its own for each class gives it away"


def test_photographs_without_a_caption_and_their_counterparts_take_no_part():
    table, like, compared = setting()
    absent = ("g00-0", "g05-2")
    system = named(captions_of(table, absent))["robust-mlp"]
    fits, image = RivalFits(system, like), RivalFits(named(captions_of(table, absent))["robust-mlp-image"], like)
    for part, own in zip(fits.many, image.many, strict=True):
        assert all(np.array_equal(getattr(part, name), getattr(own, name)) for name in ("train", "validation", "test")), "the same rows"
    without = np.isin(table.image_id, absent)
    logit = fits.scores([PHOTOGRAPHS, *MADE]).logit
    assert np.isnan(logit[without]).all() and np.isfinite(logit[~without]).all()
    assert all(not (part.train & without).any() and not (part.validation & without).any() for part in fits.many)
    found = compared.trained_on_all(fits)
    assert np.isfinite(found["minus_headline"]["mAP"]), "of the same images: the headline's score of the others is left out"


@pytest.mark.parametrize("absent", [(), ("g01-0",)])
def test_the_difference_from_the_headline_is_of_the_same_images(absent):
    table, like, compared = setting()
    fits = RivalFits(System("same", like.model, lambda rows: rows.pooled, (), captions_of(table, absent)), like)
    fits.fits = like.fits  # the very same detectors
    assert compared.trained_on_all(fits)["minus_headline"] == {"mAP": 0.0, "mAP_low": 0.0, "mAP_high": 0.0}
