"""Rows with images from folders of every layout: bytes untouched, splits by exact names, faults in one sentence."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.imagesets import ImageSet, load_image_set, rows
from tests.pipeline.imageset_files import COMMIT, jpeg, picked, write_parquet


def test_parquet_rows_keep_bytes_order_and_columns(tmp_path):
    test = write_parquet(tmp_path / "test-00000.parquet", range(40, 43), image_id=lambda n: f"{n:03d} a", label=lambda n: n % 2, kind=str)
    late = write_parquet(tmp_path / "train-00001.parquet", range(20, 40), image_id=lambda n: f"{n:03d} a", label=lambda n: n % 2, kind=str)
    early = write_parquet(tmp_path / "train-00000.parquet", range(20), image_id=lambda n: f"{n:03d} a", label=lambda n: n % 2, kind=str)
    found = list(rows(ImageSet(folder=tmp_path, label="label", source="kind")))
    assert [row["image_id"] for row in found] == [f"{number:03d} a" for number in range(43)]
    assert [row["bytes"] for row in found] == early + late + test
    assert [row["split"] for row in found] == ["train"] * 40 + ["test"] * 3
    assert [row["label"] for row in found] == [number % 2 for number in range(43)]
    assert found[7]["source"] == found[7]["kind"] == "7" and found[7]["path"] == "7.jpg"
    assert found[7]["group"] is None and found[7]["licence"] is None
    assert picked(ImageSet(folder=tmp_path), "label") == [(None,)] * 43, "a column nobody named is not a label"


@pytest.mark.parametrize("columns", [{"image_id": lambda n: f"id {n}"}, {}])
def test_ids_alone_are_the_same_ids_without_images(tmp_path, columns):
    write_parquet(tmp_path / "test.parquet", range(8), **columns)
    alone = list(rows(ImageSet(folder=tmp_path), images=False))
    assert [row["image_id"] for row in alone] == [image_id for (image_id,) in picked(ImageSet(folder=tmp_path), "image_id")]
    assert {row["bytes"] for row in alone} == {None}
    assert {row["path"] is None for row in alone} == {bool(columns)}, "with ids of their own, the images are not even fetched"


def test_a_binary_column_is_an_image_too_and_where_selects(tmp_path):
    data = jpeg(tmp_path / ".made" / "x.jpg", 1)
    table = {"picture": [data] * 4, "key": [1, 2, 3, 4], "model": ["a", "b", "a", None], "good": [True, True, False, True]}
    pq.write_table(pa.table(table), tmp_path / "test.parquet")
    image_set = ImageSet(folder=tmp_path, image="picture", image_id="key", where={"model": "a", "good": True})
    assert picked(image_set, "image_id", "bytes", "path") == [("1", data, None)]


def test_folders_of_labelled_images(tmp_path):
    expected = []
    for split in ("train", "val", "test"):
        for name, label in (("0_real", 0), ("1_fake", 1)):
            for number in (1, 2):
                data = jpeg(tmp_path / split / name / f"00{number}.jpg", len(expected))
                expected.append((f"00{number}", {"val": "validation"}.get(split, split), label, data))
    (tmp_path / "train" / ".hidden.jpg").write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._a.jpg").write_bytes(b"x")
    assert picked(ImageSet(folder=tmp_path, label="label"), "image_id", "split", "label", "bytes") == expected


def test_class_names_decide_and_not_their_numbers(tmp_path):
    from datasets import ClassLabel, Dataset, Features, Image

    data = jpeg(tmp_path / ".made" / "x.jpg", 1)
    features = Features({"image": Image(), "label": ClassLabel(names=["fake", "real"])})
    made = Dataset.from_dict({"image": [{"bytes": data, "path": f"{n}.jpg"} for n in range(2)], "label": [0, 1]}, features=features)
    made.to_parquet(tmp_path / "test.parquet")
    assert picked(ImageSet(folder=tmp_path, label="label"), "label") == [(1,), (0,)], "fake is synthetic, though it is class 0"
    assert picked(ImageSet(folder=tmp_path, label="label", where={"label": "real"}), "label") == [(0,)]


def test_metadata_files_name_ids_that_stay_text(tmp_path):
    data = [jpeg(tmp_path / "test" / "sub" / f"{n}.jpg", n) for n in range(3)]
    table = "file_name,image_id,label,source,scene\nsub/2.jpg,0002,1,flux1-dev,s\nsub/0.jpg,1e5,0,,s\n"
    (tmp_path / "test" / "metadata.csv").write_text(table)
    image_set = ImageSet(folder=tmp_path, label="label", source="source", group="scene")
    wanted = [("0002", 1, "flux1-dev", "s", data[2]), ("1e5", 0, None, "s", data[0])]
    assert picked(image_set, "image_id", "label", "source", "group", "bytes") == wanted


@pytest.mark.parametrize("layout", ["images", "tables"])
def test_flux1_dev_is_no_validation_split(tmp_path, layout):
    def put(name, number):
        if layout == "images":
            jpeg(tmp_path / name / f"{number}.jpg", number)
        else:
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
            write_parquet(tmp_path / name / f"part-{number}.parquet", range(number, number + 1))

    for number, name in enumerate(("flux1-dev", "real", "sd3-val")):
        put(name, number)
    assert picked(ImageSet(folder=tmp_path), "image_id", "split") == [("0", "train"), ("1", "train"), ("2", "train")]
    put("dev/flux1-dev", 7)
    with pytest.raises(UserError, match=r"'flux1-dev/.*' lies in no split while others do"):
        list(rows(ImageSet(folder=tmp_path)))
    (tmp_path / "test").mkdir()
    for name in ("flux1-dev", "real", "sd3-val"):
        (tmp_path / name).rename(tmp_path / "test" / name)
    assert picked(ImageSet(folder=tmp_path), "image_id", "split") == [("7", "validation"), ("0", "test"), ("1", "test"), ("2", "test")]


def test_a_card_that_names_its_files_is_followed(tmp_path):
    (tmp_path / "flux1-dev").mkdir()
    write_parquet(tmp_path / "flux1-dev" / "a.parquet", range(2))
    write_parquet(tmp_path / "b.parquet", range(2, 4))
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: test, path: flux1-dev/a.parquet}\n"
        "- config_name: other\n  data_files:\n  - {split: holdout, path: b.parquet}\n---\n"
    )
    assert picked(ImageSet(folder=tmp_path, config="default"), "image_id", "split") == [("0", "test"), ("1", "test")]
    other = ImageSet(folder=tmp_path, config="other", splits={"validation": "holdout"})
    assert picked(other, "image_id", "split") == [("2", "validation"), ("3", "validation")]
    with pytest.raises(UserError, match="cannot be read .*nothing"):
        list(rows(ImageSet(folder=tmp_path, config="nothing")))


def test_splits_are_ours_by_mapping(tmp_path):
    for number, name in enumerate(("holdout", "train", "extra")):
        jpeg(tmp_path / name / f"{number}.jpg", number)
    with pytest.raises(UserError, match="'extra/2.jpg' lies in no split"):
        list(rows(ImageSet(folder=tmp_path, splits={"test": "holdout"})))
    (tmp_path / "extra").rename(tmp_path / "dev")
    assert picked(ImageSet(folder=tmp_path, splits={"test": "holdout"}), "image_id", "split") == [("0", "test")]
    with pytest.raises(UserError, match="splits: .* has no split 'valid'; it has dev, train"):
        (tmp_path / "holdout").rename(tmp_path / ".holdout")
        list(rows(ImageSet(folder=tmp_path, splits={"validation": "valid"})))
    jpeg(tmp_path / "val" / "9.jpg", 9)
    with pytest.raises(UserError, match="splits: .*'val' and 'dev' would both be our validation"):
        list(rows(ImageSet(folder=tmp_path)))


ROW_FAULTS = [
    ({"label": "label"}, {"label": lambda n: "cat"}, "label: row 0 of test .* is labelled 'cat'; use 0 or 1"),
    ({"label": "label"}, {"label": lambda n: 2}, "is labelled 2;"),
    ({"label": "label"}, {"label": lambda n: True}, "is labelled True;"),
    ({"label": "label"}, {"label": lambda n: 0.0}, "is labelled 0.0;"),
    ({"label": "label"}, {"label": lambda n: None if n else 1}, "row 1 of test .* is labelled None;"),
    ({"label": "truth"}, {"label": lambda n: 0}, "label: .* has no column 'truth'; it has .*label"),
    ({"image": "picture"}, {}, "image: .* has no column 'picture'; it has image"),
    ({"image": "text"}, {"text": lambda n: "/etc/hostname"}, "image: row 0 of test .* has no image in the column 'text'"),
    ({"image_id": "key"}, {}, "image_id: .* has no column 'key'"),
    ({}, {"image_id": lambda n: None if n else "a"}, "image_id: row 1 of test .* has None"),
    ({"where": {"label": "real"}}, {"label": lambda n: "fake"}, "no row matches `where` .*label has fake"),
    ({"where": {"lable": "real"}}, {}, "where: .* has no column 'lable'"),
]


@pytest.mark.parametrize(("settings", "columns", "sentence"), ROW_FAULTS, ids=[sentence[:40] for *_, sentence in ROW_FAULTS])
def test_rows_that_make_no_sense_are_explained(tmp_path, settings, columns, sentence):
    write_parquet(tmp_path / "test.parquet", range(2), **columns)
    with pytest.raises(UserError, match=sentence) as caught:
        list(rows(ImageSet(folder=tmp_path, **settings)))
    assert "\n" not in str(caught.value)


def test_a_row_cannot_point_outside_its_folder(tmp_path):
    secret = tmp_path / "secret.jpg"
    jpeg(secret, 1)
    folder = tmp_path / "set"
    inside = folder / ".images" / "a.jpg"
    data = jpeg(inside, 2)
    for path in (str(secret), f"file://{secret}", f"{folder}/../secret.jpg", "https://example.org/a.jpg"):
        pq.write_table(pa.table({"image": [{"bytes": None, "path": path}]}), folder / "test.parquet")
        with pytest.raises(UserError, match="points at .*outside the dataset"):
            list(rows(ImageSet(folder=folder)))
    pq.write_table(pa.table({"image": [{"bytes": None, "path": str(inside)}]}), folder / "test.parquet")
    assert picked(ImageSet(folder=folder), "bytes") == [(data,)]
    (folder / "test.parquet").unlink()
    jpeg(folder / "b.jpg", 3)
    (folder / "metadata.csv").write_text("file_name\n../secret.jpg\n")
    with pytest.raises(UserError, match=r"cannot be read .*\.\./secret\.jpg"):
        list(rows(ImageSet(folder=folder)))
    (folder / "metadata.csv").write_text("file_name\nmissing.jpg\n")
    with pytest.raises(UserError, match=r"cannot be read .*missing\.jpg"):
        list(rows(ImageSet(folder=folder)))


def test_folders_that_hold_no_set_are_explained(tmp_path):
    with pytest.raises(UserError, match="holds neither Parquet files nor images"):
        list(rows(ImageSet(folder=tmp_path)))
    with pytest.raises(UserError, match="is no folder"):
        list(rows(ImageSet(folder=tmp_path / "nowhere")))
    with pytest.raises(UserError, match="config: .*no README.md that names configs; remove 'a'"):
        list(rows(ImageSet(folder=tmp_path, config="a")))
    (tmp_path / "test.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(UserError, match=r"cannot be read \(.*\); check its files"):
        list(rows(ImageSet(folder=tmp_path)))
    jpeg(tmp_path / "a.jpg", 1)
    with pytest.raises(UserError, match="holds both Parquet files and images"):
        list(rows(ImageSet(folder=tmp_path)))


FILE_FAULTS = [
    ("dataset: owner/name\n", "`dataset` needs `revision`"),
    (f"dataset: owner/name\nrevision: {COMMIT}\nfolder: x\n", "give either `dataset`"),
    ("label: label\n", "give either `dataset`"),
    (f"folder: x\nrevision: {COMMIT}\n", "`revision` belongs to `dataset`"),
    ("dataset: owner/name\nrevision: main\n", r"revision: .*\(got 'main'\)"),
    (f"dataset: ../secret\nrevision: {COMMIT}\n", "dataset: .*pattern"),
    ("folder: x\nlicense: licence\n", "license: is no key of an image set; known: .*licence"),
    ("folder: x\nsplits: {dev: dev}\n", "splits.dev"),
    ("folder: x\nlabel: 3\n", r"label: .*string.*\(got 3\)"),
    ("- a\n", "must hold a mapping"),
    ("folder: [\n", "is not valid YAML"),
]


@pytest.mark.parametrize(("text", "sentence"), FILE_FAULTS, ids=[sentence[:30] for _, sentence in FILE_FAULTS])
def test_a_fault_in_a_description_names_the_file_and_the_key(tmp_path, text, sentence):
    path = tmp_path / "set.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"set\.yaml.*{sentence}") as caught:
        load_image_set(path)
    assert "\n" not in str(caught.value)


def test_a_description_may_be_a_file_or_a_folder(tmp_path):
    path = tmp_path / "sets" / "own.yaml"
    path.parent.mkdir()
    path.write_text("folder: ../images\nwhere: {split: a, n: 3}\nsplits: {test: x}\n")
    described = load_image_set(path)
    assert described.folder.resolve() == (tmp_path / "images").resolve() and described.where == {"split": "a", "n": 3}
    assert load_image_set(tmp_path) == ImageSet(folder=tmp_path)
    with pytest.raises(UserError, match="neither a folder nor a .yaml"):
        load_image_set(tmp_path / "nowhere.yaml")
