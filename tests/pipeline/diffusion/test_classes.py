"""diffusers' pairs of classes are read, not imported: they must be what importing them would give."""

from types import SimpleNamespace

import pytest

from pipeline.diffusion import classes


@pytest.fixture(scope="module")
def auto():
    from diffusers.pipelines import auto_pipeline

    return auto_pipeline


@pytest.mark.parametrize("mapping", ["AUTO_TEXT2IMAGE_PIPELINES_MAPPING", "AUTO_IMAGE2IMAGE_PIPELINES_MAPPING"])
def test_the_pairs_that_are_read_are_those_of_the_imported_mappings(mapping, auto):
    imported = {key: cls.__name__ for key, cls in getattr(auto, mapping).items()}
    read = classes.auto_pairs()[mapping]
    assert {key: read[key] for key in imported} == imported and list(read)[:3] == list(imported)[:3]
    assert set(read) - set(imported) <= {"kolors", "kolors-pag"}, "which diffusers knows only beside sentencepiece"


WRITTEN = """
{images} = OrderedDict([("sd", Painter)])
AUTO_TEXT2IMAGE_PIPELINES_MAPPING = {texts}
if is_sentencepiece_available():
    AUTO_IMAGE2IMAGE_PIPELINES_MAPPING["late"] = Late
"""
IMAGES = "AUTO_IMAGE2IMAGE_PIPELINES_MAPPING"


@pytest.mark.parametrize(
    ("images", "texts"),
    [
        (IMAGES, "OrderedDict([])"),
        (IMAGES, '{"sd": Painter}'),
        (IMAGES, 'OrderedDict([*OTHERS, ("sd", Painter)])'),
        (IMAGES, 'OrderedDict([("sd", module.Painter)])'),
        (f"{IMAGES}: OrderedDict", 'OrderedDict([("sd", Painter)])'),
    ],
)
def test_where_they_are_written_otherwise_they_are_imported(images, texts, auto, tmp_path, monkeypatch):
    found = tmp_path / "auto_pipeline.py"
    monkeypatch.setattr(classes, "find_spec", lambda name: SimpleNamespace(origin=found))
    found.write_text(WRITTEN.format(images=IMAGES, texts='OrderedDict([("sd", Painter)])'))
    assert classes.auto_pairs() == {classes.TEXT_TO_IMAGE: {"sd": "Painter"}, IMAGES: {"sd": "Painter", "late": "Late"}}
    found.write_text(WRITTEN.format(images=images, texts=texts))
    assert classes.auto_pairs() == {
        name: {key: cls.__name__ for key, cls in getattr(auto, name).items()} for name in (classes.TEXT_TO_IMAGE, classes.IMAGE_TO_IMAGE)
    }


def test_every_class_finds_the_image_to_image_class_of_the_imported_mappings(auto):
    texts, images = auto.AUTO_TEXT2IMAGE_PIPELINES_MAPPING, auto.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING
    expected: dict[str, type | None] = {cls.__name__: None for cls in [*texts.values(), *images.values()]}
    for key in reversed(texts):  # the first pair with a name counts
        if key in images and "strength" in classes.call_arguments(images[key]):
            expected |= dict.fromkeys((texts[key].__name__, images[key].__name__), images[key])
    assert {name: classes._image_to_image(name) for name in expected} == expected
    assert sum(cls is not None for cls in expected.values()) > 20
