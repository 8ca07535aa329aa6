"""What params.yaml may say of rivals and attribution: sound values, and one sentence for the others."""

from pathlib import Path

import pytest
import yaml

from pipeline.detector_params import Powers
from pipeline.errors import UserError
from pipeline.params import load_params

ROOT = Path(__file__).parents[2]


def fault(tmp_path: Path, *path: str, value: object) -> str:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    block = params
    for key in path[:-1]:
        block = block[key]
    block[path[-1]] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(UserError) as raised:
        load_params(tmp_path / "params.yaml")
    return str(raised.value)


def test_powers_are_evenly_spaced_on_a_logarithmic_scale():
    assert Powers(low=-2, high=1, count=4).values == pytest.approx([0.01, 0.1, 1, 10])
    assert Powers(low=-6, high=5, count=45).values[::44] == pytest.approx([1e-6, 1e5])
    assert Powers(low=0.5, high=3, count=1).values == pytest.approx([10**0.5])


def test_an_even_number_of_neighbours_could_vote_half_and_half(tmp_path):
    assert "rivals.univfd.neighbours" in fault(tmp_path, "rivals", "univfd", "neighbours", value=[1, 4])
    assert "4 neighbours" in fault(tmp_path, "rivals", "univfd", "neighbours", value=[1, 4])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("rivals", "clipdet", "C"), 0),
        (("rivals", "clipdet", "pairs"), []),
        (("rivals", "clipdet", "pairs"), [1]),
        (("rivals", "robust_mlp", "cvar"), 0),
        (("rivals", "robust_mlp", "gamma"), 1.5),
        (("rivals", "robust_mlp", "rho"), -0.1),
        (("attribution", "origin", "unknown"), 0),
        (("attribution", "origin", "neighbours"), [0]),
        (("attribution", "occ_clip", "shots"), 1),
        (("attribution", "occ_clip", "epsilon"), 2),
        (("attribution", "occ_clip", "learning_rate"), 0),
        (("clip", "blocks"), [-1]),
        (("clip", "blocks"), []),
    ],
)
def test_the_sentence_names_the_key(tmp_path, path, value):
    assert ".".join(path) in fault(tmp_path, *path, value=value)
