"""A model hub on this machine: one in-memory repository store behind the few routes that publishing uses."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.http_server import Answering, serving

TOKEN = "hf_a-secret-of-the-tests"


class Hub:
    """`repositories`: {name: {"private": bool, "files": {path: bytes}, "commits": [{summary, parent, added, deleted}]}}."""

    def __init__(self):
        self.repositories: dict[str, dict] = {}
        self.writers = {"me"}
        self.endpoint = ""

    def add(self, name: str, files: dict[str, bytes], private: bool = True) -> dict:
        self.repositories[name] = {"private": private, "files": {".gitattributes": b"", **files}, "commits": []}
        return self.repositories[name]


def _handler(hub: Hub) -> type[Answering]:
    class Handler(Answering):
        def known(self) -> bool:
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                return True
            self.answer(401, {"error": f"bad credentials {self.headers.get('Authorization')}"})
            return False

        def oid(self, name: str) -> str:
            return f"{len(hub.repositories[name]['commits']):040x}"

        def do_GET(self) -> None:
            if not self.known():
                return
            if match := re.fullmatch(r"/api/datasets/([^/]+/[^/?]+)(?:/revision/.*)?", self.path):
                if match[1] not in hub.repositories:
                    return self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
                repository = hub.repositories[match[1]]
                siblings = [{"rfilename": path} for path in repository["files"]]
                self.answer(200, {"id": match[1], "sha": self.oid(match[1]), "private": repository["private"], "siblings": siblings})
            elif match := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path):
                data = hub.repositories[match[1]]["files"][match[3]]
                self.answer(200, data, ETag=f'"{hash(data)}"', X_Repo_Commit=self.oid(match[1]))
            else:
                self.answer(404)

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/api/validate-yaml":
                return self.answer(200, {"errors": [], "warnings": []})
            if not self.known():
                return
            if self.path == "/api/repos/create":
                asked = json.loads(body)
                if asked["organization"] not in hub.writers:
                    return self.answer(403, {"error": "You don't have the rights"})
                name = f"{asked['organization']}/{asked['name']}"
                hub.add(name, {}, private=asked["visibility"] == "private")
                return self.answer(200, {"url": f"{hub.endpoint}/datasets/{name}"})
            match = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/(preupload|commit)/main", self.path)
            if match[1].split("/")[0] not in hub.writers:
                return self.answer(403, {"error": "You don't have the rights"})
            if match[2] == "preupload":
                files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]]
                return self.answer(200, {"files": files})
            self.answer(200, self.commit(match[1], [json.loads(line) for line in body.splitlines()]))

        def commit(self, name: str, lines: list[dict]) -> dict:
            repository = hub.repositories[name]
            commit = {"summary": lines[0]["value"]["summary"], "parent": lines[0]["value"].get("parentCommit"), "added": [], "deleted": []}
            for line in lines[1:]:
                path = line["value"]["path"]
                if line["key"] == "file":
                    repository["files"][path] = base64.b64decode(line["value"]["content"])
                    commit["added"].append(path)
                else:
                    del repository["files"][path]
                    commit["deleted"].append(path)
            repository["commits"].append(commit)
            url = f"{hub.endpoint}/datasets/{name}/commit/{self.oid(name)}"
            return {"success": True, "commitOid": self.oid(name), "commitUrl": url, "hookOutput": ""}

    return Handler


@contextmanager
def serving_hub() -> Iterator[Hub]:
    hub = Hub()
    with serving(_handler(hub)) as hub.endpoint:
        yield hub
