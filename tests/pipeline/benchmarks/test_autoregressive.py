"""Pictures drawn pixel by pixel: the same each time, like their photographs, and in the dataset's own splits."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.benchmarks import autoregressive
from pipeline.benchmarks.autoregressive import Autoregression
from pipeline.errors import UserError
from pipeline.images import decode_png, sha256
from pipeline.params import load_params
from pipeline.photographs.build import build_photographs
from pipeline.records import read_rows
from tests.conftest import textured

ROOT = Path(__file__).parents[3]
KEY = "other-crops"


def small_params(folder: Path, **photographs):
    """The embedded profile at half its size, with few crops."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    catalogue = str(ROOT / "pipeline/photographs/packaged.csv")
    raw["fit"]["shorter_side"] = 32
    raw["photographs"] |= {"source": catalogue, "crops": 2, **photographs}
    raw["benchmarks"] = {
        KEY: {"kind": "autoregressive", "source": catalogue, "licence": "per photograph", "settings": {"crops": 3, "neighbours": 2}}
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    return load_params(folder / "params.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoregressive")
    params, aside = small_params(folder), []
    build_photographs(params, folder / "photographs")
    photographs = list(read_rows(folder / "photographs", "photographs"))
    return params, photographs, list(autoregressive.rows(KEY, params, aside)), aside


def test_every_crop_has_its_counterpart_and_both_are_sound(made):
    params, _, rows, aside = made
    assert not aside
    real = {row["image_id"]: row for row in rows if row["label"] == 0}
    synthetic = {row["image_id"]: row for row in rows if row["label"] == 1}
    assert real.keys() == synthetic.keys() and len(real) > 2 * 17
    assert {row["source"] for row in real.values()} == {"photographs"}
    assert {row["source"] for row in synthetic.values()} == {"autoregressive"}
    for row in rows:
        assert row["sha256"] == sha256(row["image"]["bytes"]) and (row["width"], row["height"]) == (32, 32)
        assert decode_png(row["image"]["bytes"]).shape == (32, 32, 3)
        assert (row["group"], row["split"]) == (real[row["image_id"]]["group"], real[row["image_id"]]["split"])


def test_groups_and_splits_are_the_datasets_and_the_crops_are_others(made):
    _, photographs, rows, _ = made
    assert {row["group"]: row["split"] for row in rows} == {row["group"]: row["split"] for row in photographs}
    assert not {row["sha256"] for row in rows} & {row["sha256"] for row in photographs}
    assert not {row["image_id"] for row in rows} & {row["image_id"] for row in photographs}


def test_a_second_time_gives_the_same_bytes(made):
    params, _, rows, _ = made
    assert list(autoregressive.rows(KEY, params, [])) == rows


def test_a_picture_resembles_its_own_photograph_more_than_any_other_and_is_no_copy(made):
    _, _, rows, _ = made
    real, drawn = (np.stack([decode_png(r["image"]["bytes"]) for r in rows if r["label"] == k]).astype(float) for k in (0, 1))
    coarse = [x.reshape(len(x), 8, 4, 8, 4, 3).mean((2, 4)).reshape(len(x), -1) for x in (real, drawn)]
    distance = ((coarse[1][:, None] - coarse[0][None]) ** 2).mean(-1)
    assert (distance.argmin(1) == np.arange(len(real))).mean() > 0.95
    assert (np.abs(drawn - real).mean((1, 2, 3)) > 1).all(), "pixels are drawn anew"


def test_neighbouring_pixels_hang_together_as_they_do_in_photographs():
    photographs = np.stack([np.asarray(textured(seed, 48, 48)) for seed in range(12)])
    drawn = Autoregression(photographs, 2, seed=1).draw(photographs, seed=2).astype(float).mean(-1)

    def correlation(x):
        return np.corrcoef(x[:, :, 1:].ravel(), x[:, :, :-1].ravel())[0, 1]

    assert correlation(drawn) > 0.8
    shuffled = np.random.default_rng(0).permuted(drawn.reshape(12, -1), axis=1).reshape(drawn.shape)
    assert correlation(shuffled) < 0.5, "which noise of the same values would not"


def test_flat_pictures_can_be_learned_from_and_drawn():
    flat = np.full((3, 32, 32, 3), 255, np.uint8)
    drawn = Autoregression(flat, 2, seed=1).draw(flat, seed=2)
    assert np.abs(drawn.astype(int) - 255).max() <= 1


def test_a_pixel_depends_on_no_later_one():
    photographs = np.stack([np.asarray(textured(seed, 32, 32)) for seed in range(6)])
    model = Autoregression(photographs, 2, seed=1)
    assert all(y < 0 or (y == 0 and x < 0) for y, x in model.causal)
    assert (0, -1) in model.causal and (-1, 2) in model.causal and (-3, 0) not in model.causal


def test_without_shares_of_splits_it_cannot_join_the_datasets(tmp_path):
    params = small_params(tmp_path).model_copy(
        update={"photographs": small_params(tmp_path).photographs.model_copy(update={"splits": None})}
    )
    with pytest.raises(UserError, match=f"benchmarks.{KEY}.kind: .*photographs.splits"):
        next(autoregressive.rows(KEY, params, []))


def test_a_wrong_source_is_named_by_the_benchmarks_own_key(tmp_path):
    params = small_params(tmp_path)
    entry = params.benchmarks[KEY].model_copy(update={"source": str(tmp_path)})
    params = params.model_copy(update={"benchmarks": {KEY: entry}})
    with pytest.raises(UserError, match=f"benchmarks.{KEY}.source: "):
        next(autoregressive.rows(KEY, params, []))
