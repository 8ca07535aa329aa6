"""The parameters of detectors: what params.yaml leaves out is the estimator's own, and the paper's preset is one word."""

import inspect

import pytest

from detector.estimators.presets import PRESETS, preset
from detector.evaluation.crossfit import arguments, estimator
from detector.saved import KINDS
from pipeline.detector_params import Concept, Linear, Orthogonal
from pipeline.errors import UserError

BLOCKS = {"linear": Linear, "orthogonal": Orthogonal, "concept": Concept}


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_that_params_state_are_the_estimators_own(kind):
    own = {name: parameter.default for name, parameter in inspect.signature(KINDS[kind]).parameters.items()}
    stated = {name: field.default for name, field in BLOCKS[kind].model_fields.items() if name != "preset"}
    assert {name: own[name] for name in stated} == stated


@pytest.mark.parametrize("kind", KINDS)
def test_a_preset_has_arguments_of_its_estimator_only_and_what_is_set_goes_before_it(kind):
    model = estimator(kind, preset("paper", kind), None, 0)
    assert set(PRESETS["paper"][kind]) <= set(model.get_params()) and model.class_weight is None
    assert arguments(kind, BLOCKS[kind]()) == {}
    assert arguments(kind, BLOCKS[kind](preset="paper")) == preset("paper", kind)


def test_a_single_argument_can_be_set_beside_the_preset():
    assert arguments("concept", Concept(preset="paper", closed=0.25)) == {**preset("paper", "concept"), "closed": 0.25}
    with pytest.raises(UserError, match="preset: there is no 'papre'"):
        preset("papre", "linear")
