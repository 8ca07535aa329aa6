"""Whatever params.yaml holds, load_params gives parameters that JSON can say, or one sentence that names the file."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.params import KEY, load_params
from tests.fuzz.hostile import FUZZ, TEXTS, VALUES, refused_or_read

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text())
DEFAULT["generators"] = {name: DEFAULT["generators"][name] for name in ("latent-mmdit", "patch-match")}
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("project") / "params.yaml"


def read(path: Path, content: bytes):
    path.write_bytes(content)
    params = refused_or_read(lambda: load_params(path), str(path))
    if params is not None:
        json.dumps(params.model_dump(), allow_nan=False).encode()  # keys of finished work and provenance are made of it
    return params


@given(st.text() | st.text(alphabet="{}[]:,-&*!?|>%@`'\"#\n x01.eE_~<", max_size=60))
@example("[" * 5000)
@example("- " * 5000)
@example("&a [*a]")
@example(LAUGHS)
@example(MERGES)
@example("kind: " + LAUGHS)
@example("a: 2024-13-45")
@example("a: 0b_")
@example("a: !!timestamp x")
@example("a: !!int ''")
@example("a: !!python/object/apply:os.system [touch pwned]")
@example("a: " + "9" * 5000)
@example("seed: {[1]: 2}")
@example("--- a\n--- b")
@example(r'"\ud800": 1')
@settings(FUZZ, max_examples=60)
def test_any_text(path, text):
    assert read(path, text.encode("utf-8", "surrogatepass")) is None


@given(st.binary(max_size=200))
@example(b"\xff\xfe\x00")
@example(b"a: \x00")
@settings(FUZZ)
def test_any_bytes(path, data):
    assert read(path, data) is None


def test_what_is_no_file(tmp_path):
    assert refused_or_read(lambda: load_params(tmp_path), str(tmp_path)) is None


def _places(value, place=()):
    for key, item in value.items():
        yield (*place, key)
        if isinstance(item, dict):
            yield from _places(item, (*place, key))


@st.composite
def changed(draw: st.DrawFn) -> dict:
    """Our parameters with an entry or two replaced, removed, renamed or added, anywhere."""
    params = copy.deepcopy(DEFAULT)
    for *place, last in draw(st.lists(st.sampled_from(list(_places(DEFAULT))), min_size=1, max_size=2)):
        block = params
        for key in place:
            block = block.get(key) if isinstance(block, dict) else None
        if not isinstance(block, dict) or last not in block:
            continue
        name = draw(TEXTS | st.integers() | st.none())
        match draw(st.sampled_from(["replace", "remove", "rename", "add"])):
            case "replace":
                block[last] = draw(VALUES)
            case "remove":
                del block[last]
            case "rename":
                block[name] = block.pop(last)
            case "add":
                block[name] = draw(VALUES)
    return params


def put(value, *place):
    params = copy.deepcopy(DEFAULT)
    block = params
    for key in place[:-1]:
        block = block[key]
    block[place[-1]] = value
    return params


@given(changed())
@example(put(DEFAULT["generators"]["patch-match"], "generators", "x\n"))
@example(put(DEFAULT["generators"]["patch-match"], "generators", "x; touch pwned"))
@example(put([0.5], "views", "altered", 3))
@example(put({"x": {"y": 1}}, "generators", "latent-mmdit", "settings", "call"))
@example(put(0.5, "generators", "latent-mmdit", "model", "autoencoder", "x"))
@example(put(float("inf"), "detectors", "linear", "C"))
@example(put({"length_penalty": float("nan")}, "captions", "decoding"))
@example(put("x" * 5000, "clip", "model", "kind"))
@example(put(["x" * 5000], "photographs", "kind"))
@example(put("a\nb\x1b[2J", "seed"))
@example(put("data/a\nb\u202e", "work"))
@example(put("a\0b", "work"))
@example(put(DEFAULT["generators"]["patch-match"], "generators", "x" * 5000))
@settings(FUZZ, max_examples=40)
def test_any_change(path, params):
    try:
        content = yaml.dump(params, Dumper=yaml.CSafeDumper, allow_unicode=True).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, UnicodeEncodeError, TypeError):  # what YAML cannot say
        return
    found = read(path, content)
    if found is not None:
        assert all(KEY.fullmatch(name) for name in (*found.generators, *found.benchmarks, found.photographs.name, found.dataset.name))


def test_an_alias_still_stands_for_what_it_names(path):
    block = "{kind: patch_bank, crops: 40, floor: 0.3}"
    head, first, second = (ROOT / "params.yaml").read_text().split(block)
    path.write_text(f"{head}&bank {block}{first}*bank{second}")
    assert load_params(path) == load_params(ROOT / "params.yaml")
