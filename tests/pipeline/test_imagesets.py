"""Rows with images from folders of every layout: bytes untouched, splits by exact names, faults in one sentence."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.imagesets import ImageSet, load_image_set, rows
from tests.conftest import textured

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def jpeg(path: Path, seed: int) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    textured(seed, 30, 20).save(path, format="JPEG", quality=60, comment=b"untouched")
    return path.read_bytes()


def write_parquet(path: Path, numbers: range, **columns) -> list[bytes]:
    images = [jpeg(path.parent / ".made" / "x.jpg", number) for number in numbers]
    table = {"image": [{"bytes": data, "path": f"some/dir/{number}.jpg"} for number, data in zip(numbers, images, strict=True)]}
    table |= {name: [value(number) for number in numbers] for name, value in columns.items()}
    pq.write_table(pa.table(table), path, row_group_size=5)
    return images


def picked(image_set: ImageSet, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in rows(image_set)]


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


def hub(repositories: dict[str, dict[str, bytes]]) -> type[BaseHTTPRequestHandler]:
    """A hub of datasets {name: {path: bytes}}, all at COMMIT: the routes that streaming uses."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status: int, body: bytes | dict | list = b"", **headers: str) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = unquote(self.path.partition("?")[0])
            match = re.fullmatch(rf"(?:/api)?/datasets/(\w+/\w+)(?:/(revision|tree|paths-info|resolve)/{COMMIT}(?:/(.+))?)?", path)
            if match is None or match[1] not in repositories:
                return self.answer(401, X_Error_Code="RepoNotFound")
            files = repositories[match[1]]
            if match[2] == "resolve":
                return self.content(files, match[3])
            if match[2] == "tree":
                return self.listing(files, match[3] or "")
            if match[2] == "paths-info":
                asked = json.loads(body)["paths"] if "json" in self.headers["Content-Type"] else parse_qs(body.decode())["paths"]
                return self.answer(200, [self.file(files, name) for name in asked if name in files])
            self.answer(200, {"id": match[1], "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})

        do_HEAD = do_POST = do_GET

        def file(self, files: dict[str, bytes], name: str) -> dict:
            return {"type": "file", "path": name, "size": len(files[name]), "oid": "0" * 40}

        def listing(self, files: dict[str, bytes], folder: str) -> None:
            prefix = f"{folder}/" if folder else ""
            inner = [name.removeprefix(prefix) for name in files if name.startswith(prefix)]
            folders = {name.rpartition("/")[0] for name in inner if "/" in name}
            if "recursive=true" not in self.path.lower():
                inner = [name for name in inner if "/" not in name]
                folders = {name.partition("/")[0] for name in folders}
            found = [self.file(files, prefix + name) for name in inner]
            found += [{"type": "directory", "path": prefix + name, "oid": "0" * 40} for name in sorted(folders)]
            self.answer(200, found) if found else self.answer(404, X_Error_Code="EntryNotFound")

        def content(self, files: dict[str, bytes], name: str) -> None:
            if name not in files:
                return self.answer(404, X_Error_Code="EntryNotFound")
            headers = {"ETag": '"1"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if wanted := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or ""):
                first, last = int(wanted[1]), min(int(wanted[2]), len(files[name]) - 1)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(files[name])}"
                return self.answer(206, files[name][first : last + 1], **headers)
            self.answer(200, files[name], **headers)

    return Handler


CLIENT = """
import hashlib, json, sys
from pathlib import Path
from pipeline.errors import UserError
from pipeline.imagesets import load_image_set, rows
for path in sys.argv[1:]:
    try:
        answer = []
        for row in rows(load_image_set(Path(path))):
            answer.append([row["image_id"], row["split"], row["label"], hashlib.sha256(row["bytes"]).hexdigest()])
    except UserError as error:
        answer = str(error)
    print(json.dumps(answer))
"""


def test_the_hubs_own_client_brings_images_untouched(tmp_path):
    pictures = {
        f"{split}/{name}/{n}.jpg": jpeg(tmp_path / "x.jpg", n) for split in ("train", "val") for n, name in enumerate(("real", "fake"))
    }
    write_parquet(tmp_path / "a.parquet", range(3), image_id=lambda n: f"id {n}")
    table = (tmp_path / "a.parquet").read_bytes()
    digests = [hashlib.sha256(jpeg(tmp_path / "x.jpg", n)).hexdigest() for n in range(3)]
    cases = [
        (pictures, "label: label", [[str(n), split, n, digests[n]] for split in ("train", "validation") for n in (1, 0)]),
        ({"data/test-00000-of-00001.parquet": table}, "", [[f"id {n}", "test", None, digests[n]] for n in range(3)]),
        ({"flux1-dev/a.parquet": table, "real/b.parquet": table}, "", "leaves its splits to guessing, and 'flux1-dev/a.parquet'"),
    ]
    for number, (_, more, _) in enumerate(cases):
        (tmp_path / f"{number}.yaml").write_text(f"dataset: owner/set{number}\nrevision: {COMMIT}\n{more}\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), hub({f"owner/set{number}": files for number, (files, *_) in enumerate(cases)})) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
        command = [sys.executable, "-c", CLIENT, *sorted(map(str, tmp_path.glob("*.yaml")))]
        client = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        server.shutdown()
    assert client.returncode == 0, client.stderr
    for (*_, expected), line in zip(cases, client.stdout.splitlines(), strict=True):
        answer = json.loads(line)
        assert (expected in answer) if isinstance(expected, str) else (answer == expected), answer


def test_a_dataset_of_the_hub_is_asked_for_at_its_revision(tmp_path, monkeypatch):
    import datasets

    image_set = ImageSet(dataset="owner/name", revision=COMMIT, config="small")
    asked = []

    def unreachable(*arguments, **named):
        asked.append((arguments, named))
        raise ConnectionError("Couldn't reach 'owner/name'\non the Hub at https://cdn/x?Signature=abc with hf_TOKEN")

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    with pytest.raises(UserError, match="owner/name@0123456789ab cannot be read from the hub .*Couldn't reach.*hf auth login") as caught:
        list(rows(image_set))
    assert asked == [(("owner/name", "small"), {"revision": COMMIT})] and "\n" not in str(caught.value)
    assert "Signature" not in str(caught.value) and "TOKEN" not in str(caught.value)
    with pytest.raises(UserError, match="^owner/name: `dataset` needs `revision`, the commit of 40 hexadecimal digits"):
        list(rows(ImageSet(dataset="owner/name")))
    assert len(asked) == 1, "main is not even asked for"
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="a local 'owner/name' hides the hub's dataset"):
        list(rows(image_set))


def test_a_hub_dataset_whose_splits_were_guessed_wrongly_is_refused(tmp_path, monkeypatch):
    import datasets

    write_parquet(tmp_path / "a.parquet", range(2))
    real = datasets.load_dataset_builder

    def guessing(*arguments, **named):
        builder = real("parquet", data_files={"validation": [str(tmp_path / "a.parquet")]})
        prefix = f"hf://datasets/owner/dev-set@{COMMIT}/"
        guessed = [prefix + path for path in paths]

        class Builder:
            config = SimpleNamespace(data_files={"validation": guessed})
            as_streaming_dataset = staticmethod(builder.as_streaming_dataset)

        return Builder()

    monkeypatch.setattr(datasets, "load_dataset_builder", guessing)
    for path in ("flux1-dev/a.parquet", "flux1-dev/train-00000.parquet", "images/flux1-dev/7.png"):
        paths = ["validation/a.parquet", path]
        with pytest.raises(UserError, match=f"leaves its splits to guessing, and '{path}' would count as validation"):
            list(rows(ImageSet(dataset="owner/dev-set", revision=COMMIT)))
    paths = ["flux1-dev/validation-00000.parquet", "data/val-0.parquet", "dev/a.parquet"]
    assert picked(ImageSet(dataset="owner/dev-set", revision=COMMIT), "split") == [("validation",)] * 2


def test_a_row_of_the_hub_cannot_point_elsewhere(tmp_path, monkeypatch):
    import datasets

    real = datasets.load_dataset_builder
    monkeypatch.setattr(
        datasets, "load_dataset_builder", lambda *_, **__: real("parquet", data_files={"test": [str(tmp_path / "test.parquet")]})
    )
    secret = tmp_path / "secret.jpg"
    jpeg(secret, 1)
    for path in (str(secret), f"zip://a.jpg::{secret}", f"hf://datasets/private/other@{COMMIT[::-1]}/a.jpg", "hf://buckets/private/a.jpg"):
        pq.write_table(pa.table({"image": [{"bytes": None, "path": path}]}), tmp_path / "test.parquet")
        with pytest.raises(UserError, match="points at .*outside the dataset"):
            list(rows(ImageSet(dataset="owner/name", revision=COMMIT)))


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
