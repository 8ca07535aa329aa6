"""Rows with images from the hub: the library's own client against a hub on this machine, at a pinned commit only."""

import hashlib
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.imagesets import ImageSet, rows
from tests.http_server import Answering, serving
from tests.pipeline.imageset_files import COMMIT, jpeg, picked, write_parquet
from tests.project import ROOT


def hub(repositories: dict[str, dict[str, bytes]]) -> type[Answering]:
    """A hub of datasets {name: {path: bytes}}, all at COMMIT: the routes that streaming uses."""

    class Handler(Answering):
        protocol_version = "HTTP/1.1"

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
    with serving(hub({f"owner/set{number}": files for number, (files, *_) in enumerate(cases)})) as endpoint:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
        command = [sys.executable, "-c", CLIENT, *sorted(map(str, tmp_path.glob("*.yaml")))]
        client = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
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
        refused = OSError("Client error for https://user:Passw0rd@hub/x?Signature=abc")
        refused.response = SimpleNamespace(status_code=503)
        raise ConnectionError("Couldn't reach 'owner/name'\non the Hub with Bearer hf_TOKEN") from refused

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    with pytest.raises(
        UserError, match=r"^owner/name@0123456789ab cannot be read from the hub \(ConnectionError, status 503\); check.*hf auth login`$"
    ):
        list(rows(image_set))
    assert asked == [(("owner/name", "small"), {"revision": COMMIT})]
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

    from pipeline import imageset_files

    real = datasets.load_dataset_builder
    monkeypatch.setattr(
        datasets, "load_dataset_builder", lambda *_, **__: real("parquet", data_files={"test": [str(tmp_path / "test.parquet")]})
    )
    write_parquet(tmp_path / "test.parquet", range(1))
    with pytest.raises(UserError, match=r"names '.*test\.parquet', outside the dataset"):
        list(rows(ImageSet(dataset="owner/name", revision=COMMIT)))
    monkeypatch.setattr(imageset_files, "_require_own", lambda *_: None)
    secret = tmp_path / "secret.jpg"
    jpeg(secret, 1)
    for path in (
        str(secret),
        f"zip://a.jpg::{secret}",
        f"hf://datasets/private/other@{COMMIT[::-1]}/a.jpg",
        "hf://buckets/private/a.jpg",
        f"hf://datasets/private/other@main/x@{COMMIT}/a.jpg",
    ):
        pq.write_table(pa.table({"image": [{"bytes": None, "path": path}]}), tmp_path / "test.parquet")
        with pytest.raises(UserError, match="points at .*outside the dataset"):
            list(rows(ImageSet(dataset="owner/name", revision=COMMIT)))
