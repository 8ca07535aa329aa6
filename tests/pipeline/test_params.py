"""Every fault in params.yaml is one sentence with the key and the remedy, found before anything heavy is imported."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.params import load_params

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text())


def test_the_default_profile_is_valid_and_has_two_generators_in_each_of_three_families():
    params = load_params(ROOT / "params.yaml")
    families = [entry.family for entry in params.generators.values()]
    assert len(families) >= 6 and all(families.count(family) >= 2 for family in families) and len(set(families)) >= 3
    assert len({entry.mode for entry in params.generators.values()}) >= 2


def put(path, value):
    def change(params):
        *parents, last = path.split("/")
        for part in parents:
            params = params[part]
        params[last] = value

    return change


def drop(path):
    def change(params):
        *parents, last = path.split("/")
        for part in parents:
            params = params[part]
        del params[last]

    return change


def both(*changes):
    def change(params):
        for one in changes:
            one(params)

    return change


FAULTS = [
    (put("photographs/crop", 3), "photographs.crop: is not a parameter; did you mean 'crops'"),
    (drop("seed"), "seed: is missing"),
    (drop("photographs/splits/test"), "photographs.splits.test: is missing"),
    (put("photographs/splits/test", 0.5), "photographs.splits: .*add up to 1"),
    (put("fit/shorter_side", 100), "fit: shorter_side 100 is not a multiple of 32"),
    (put("fit/shorter_side", -64), r"fit.shorter_side: .*greater than or equal to 32 \(got -64\)"),
    (put("seed", "many"), r"seed: .*integer.*\(got 'many'\)"),
    (put("generators/latent-unet/kind", "difusers"), "generators.latent-unet.kind: unknown kind 'difusers'; did you mean 'diffusers'"),
    (put("generators/latent-unet/family", "difusion"), "generators.latent-unet.family: .*'diffusion'"),
    (put("generators/latent-unet/mode", "reconstruct"), "generators.latent-unet.mode"),
    (put("generators/patch-match/mode", "reconstruction"), "generators.patch-match.mode: kind 'patch_match' makes image-to-image"),
    (
        put("generators/latent-unet/settings/strenght", 0.4),
        "settings.strenght: is not a parameter; did you mean 'strength'",
    ),
    (put("generators/latent-unet/settings/strength", 0.01), "generators.latent-unet.settings: .*less than one step"),
    (drop("generators/latent-unet/settings/strength"), "generators.latent-unet.settings: mode image-to-image needs `strength`"),
    (put("generators/latent-unet/model/kind", "unet"), "generators.latent-unet.model.kind: unknown kind 'unet'.*latent_unet"),
    (drop("generators/latent-unet/model/steps"), "generators.latent-unet.model.steps: is missing"),
    (
        put("generators/latent-unet/model/autoencoder/wide", 4),
        "latent-unet.model.autoencoder.wide: is not a parameter; did you mean 'width'",
    ),
    (put("generators/Flux.1", DEFAULT["generators"]["patch-match"]), "generators.Flux.1: use lower-case letters"),
    (put(f"generators/{'x' * 65}", DEFAULT["generators"]["patch-match"]), "generators.x+: use lower-case letters.* at most 64"),
    *((put("work", place), f"work: '{place}' lies in .*choose another") for place in ("data", "data/work", "x/../metrics", "./plots/")),
    (put("generators/all", DEFAULT["generators"]["patch-match"]), "generators.all: .*taken"),
    (both(put("generators", {}), put("benchmarks", {})), "generators: no generator and no benchmark is left"),
    (put("benchmarks/latent-unet", DEFAULT["benchmarks"]["autoregressive-crops"]), "benchmarks.latent-unet: 'latent-unet' is taken"),
    (
        put("benchmarks/autoregressive-crops/kind", "datasett"),
        "benchmarks.autoregressive-crops.kind: unknown kind 'datasett'; did you mean",
    ),
    (put("photographs/kind", "clic"), "photographs.kind: unknown kind 'clic'; did you mean 'clic2020'"),
    (put("photographs/splits", None), "photographs.splits: kind 'catalogue' has no official splits"),
    (put("captions/decoding", {"do_sample": True}), "captions.decoding.do_sample: sampled captions would differ"),
    (put("generators/latent-unet/settings/dtype", "bf16"), r"generators.latent-unet.settings.dtype: .*'bfloat16'"),
    (put("generators/autoencoder-fine/model", {"kind": "pretrained", "id": "a/b", "revision": "main", "licence": "MIT"}), "revision"),
    (put("photographs/name", "latent-unet"), "photographs.name: 'latent-unet' is taken"),
    (put("detectors/folds", 2), "detectors.folds: .*3"),
]


@pytest.mark.parametrize(("change", "sentence"), FAULTS, ids=[sentence[:40] for _, sentence in FAULTS])
def test_a_fault_is_one_sentence_with_the_key(tmp_path, change, sentence):
    params = copy.deepcopy(DEFAULT)
    change(params)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    with pytest.raises(UserError, match=sentence) as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


def test_broken_files_are_explained(tmp_path):
    for text, sentence in (("a: [", "not valid YAML"), ("- a", "must hold a mapping"), (None, "is missing")):
        path = tmp_path / "params.yaml"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        with pytest.raises(UserError, match=sentence):
            load_params(path)


def test_checking_parameters_imports_nothing_heavy():
    heavy = {"torch", "diffusers", "transformers", "datasets", "open_clip", "matplotlib"}
    code = (
        f"import sys; from pipeline.params import load_params; load_params('params.yaml'); print([m for m in {heavy} if m in sys.modules])"  # noqa: E501
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
