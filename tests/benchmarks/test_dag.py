"""The benchmark's project is one that the pipeline accepts, and what ran and was hashed in it is noted."""

import pytest

from benchmarks.dag import imported, with_generators, within
from pipeline.files import read_json
from pipeline.params import load_params


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return with_generators(tmp_path_factory.mktemp("dag") / "project", generators=2, photographs=4, side=64)


def test_a_generator_more_has_its_images_ready_and_others_of_its_own(scratch):
    images = {path: path.read_bytes() for path in scratch.folder.rglob("p*.png")}
    assert len(images) == 4 * (1 + 2 + 1) and len(set(images.values())) == len(images), "no two generators show the same"
    params = load_params(scratch.folder / "params.yaml")
    assert list(params.generators) == ["g00", "g01"] and (scratch.folder / imported(2)["model"]["folder"]).is_dir()


def test_what_ran_and_what_was_hashed_is_noted(scratch):
    run = scratch.repro("check")
    (stage,) = run.stages
    assert stage.name == stage.kind == "check" and 0 < stage.imports < stage.seconds < run.seconds
    assert stage.seconds + run.overhead == pytest.approx(run.seconds)
    sources = "data/sources.json"
    assert set(read_json(scratch.folder / sources)["generators"]) == {"g00", "g01"}
    assert sources in within(scratch, run.hashed)
    assert scratch.bytes_of([sources, "gone"]) == (scratch.folder / sources).stat().st_size
    again = scratch.repro("check")
    assert not again.stages and sources not in within(scratch, again.hashed)
