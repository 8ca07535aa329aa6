"""Benchmarks are measured as they are, and nothing in them makes the measuring fail."""

import numpy as np

from pipeline.audit.benchmark import measure_benchmark
from pipeline.images import encode_png, sha256
from pipeline.records import write_shards
from stages.benchmark import BENCHMARK
from tests.conftest import textured
from tests.pipeline.audit.encodings import exif, saved


def row(split, image_id, label, source, data, size=(70, 50)):
    about = {"image_id": image_id, "group": image_id, "split": split, "label": label, "source": source, "licence": "CC0-1.0"}
    return {**about, "image": {"bytes": data, "path": None}, "width": size[0], "height": size[1], "sha256": sha256(data)}


def write(folder, **splits):
    for split, rows in splits.items():
        write_shards(folder, split, rows, BENCHMARK, 10)


def test_a_benchmark_is_measured_and_never_failed(tmp_path):
    """JPEG photographs with EXIF against PNG counterparts, a leak between splits, a repeated image, a torn header."""
    photograph = textured(1, 70, 50)
    jpeg, png = saved(photograph, "JPEG", exif=exif()), saved(photograph, "PNG")
    small = encode_png(np.asarray(textured(2, 40, 40)))
    train = [row("train", "a", 0, "camera", jpeg), row("train", "a", 1, "made.v1", png), row("train", "b", 0, "mixed", small, (40, 40))]
    test = [row("test", "a", 1, "made.v1", png), row("test", "c", 1, "mixed", b"\xff\xd8 torn"), row("test", "d", 0, "camera", b"GIF89a")]
    write(tmp_path, train=train, test=test)
    found = measure_benchmark(tmp_path, [{"image": "e", "source": "camera", "reason": "torn"}])
    assert (found["rows"], found["set_aside"]) == (6, 1)
    assert found["counts"]["train"] == {"real": {"camera": 1, "mixed": 1}, "synthetic": {"made.v1": 1}}
    assert found["formats"]["real"] == {"JPEG": 1, "PNG": 1, "unreadable header": 1}
    assert found["formats"]["synthetic"] == {"PNG": 2, "unreadable header": 1}
    assert found["distinct_sizes"] == {"real": 2, "synthetic": 1}
    assert found["metadata"]["real"]["exif"] == 1 and "exif" not in found["metadata"]["synthetic"]
    assert (found["synthetic_without_real"], found["real_without_synthetic"]) == (1, 2)
    assert (found["repeated_images"], found["repeated_across_labels"], found["repeated_across_splits"]) == (1, 0, 1)
    assert (found["groups"], found["groups_across_splits"], found["examples_across_splits"]) == (4, 1, ["a"])
    assert found["near_duplicates_across_splits"] == 0, "only real images count, and none of them has a copy"


def test_real_images_with_a_near_duplicate_in_another_split_are_counted(tmp_path):
    photographs = [textured(seed, 200, 160) for seed in range(4)]
    copies = [photographs[0].resize((100, 80)), photographs[1].crop((2, 2, 198, 158))]
    train = [row("train", f"p{n}", 0, "camera", saved(photograph, "PNG")) for n, photograph in enumerate(photographs)]
    train.append(row("train", "twin", 0, "camera", saved(photographs[2], "JPEG", quality=80)))  # shares its split
    test = [row("test", f"q{n}", 0, "camera", saved(copy, "JPEG", quality=70)) for n, copy in enumerate(copies)]
    test.append(row("test", "made", 1, "made.v1", saved(photographs[3], "JPEG", quality=80)))
    write(tmp_path, train=train, test=test)
    assert measure_benchmark(tmp_path, [])["near_duplicates_across_splits"] == 4


def test_every_image_that_decodes_is_shown_once(tmp_path):
    torn = saved(textured(3, 70, 50), "PNG")[:-400]
    rows = [row("test", str(n), n % 2, "s", data) for n, data in enumerate([saved(textured(1, 70, 50), "JPEG"), torn, b"no image"])]
    write(tmp_path, test=rows)
    seen = []
    measure_benchmark(tmp_path, [], lambda *looked: seen.append(looked))
    ((about, header, pixels),) = seen
    assert (about["image_id"], header.format, pixels.shape, pixels.dtype) == ("0", "JPEG", (50, 70, 3), np.uint8)


def test_an_empty_benchmark_has_nothing_to_measure(tmp_path):
    found = measure_benchmark(tmp_path / "empty", [])
    assert (found["rows"], found["groups"], found["near_duplicates_across_splits"], found["counts"]) == (0, 0, 0, {})
