"""A hub of models on this machine: the routes that listing, asking for access and downloading use, with faults on demand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests import http_server
from tests.http_server import Answering

TOKEN = "hf_a-secret-of-the-tests"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Repository:
    files: dict[str, bytes]
    gated: bool = False
    kind: str = "models"


@dataclass
class ModelHub:
    """`accepted`: tokens whose owners have accepted the licence of gated repositories; `busy`: how many requests get 429 first."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=lambda: {TOKEN})
    busy: int = 0
    status: int | None = None  # answer to everything
    requests: list[str] = field(default_factory=list)
    endpoint: str = ""


def _handler(hub: ModelHub) -> type[Answering]:
    class Handler(Answering):
        def do_GET(self) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            if hub.busy:
                hub.busy -= 1
                return self.answer(429, **{"Retry-After": "0"})
            if hub.status:
                return self.answer(hub.status, {"error": f"no, {token}"})
            if token and token not in hub.known:
                return self.answer(401, **{"X-Error-Message": "Invalid credentials in Authorization header"})
            path = self.path.partition("?")[0]
            if match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
                return self.described(*match.groups())
            if match := re.fullmatch(r"(?:/(datasets))?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                return self.file(token, *match.groups())
            self.answer(404)

        do_HEAD = do_GET

        def repository(self, kind: str, name: str, revision: str | None) -> Repository | None:
            repository = hub.repositories.get(name)
            if repository is None or repository.kind != kind:
                self.answer(401, **{"X-Error-Code": "RepoNotFound"})  # what the hub says of missing and private ones alike
                return None
            if revision not in (None, "main", COMMIT):
                self.answer(404, **{"X-Error-Code": "RevisionNotFound"})
                return None
            return repository

        def described(self, kind: str, name: str, what: str | None, revision: str | None) -> None:
            if (repository := self.repository(kind, name, revision)) is None:
                return None
            if what == "tree":
                files = [{"type": "file", "path": path, "size": len(data), "oid": "0" * 40} for path, data in repository.files.items()]
                return self.answer(200, files)
            siblings = [{"rfilename": path, "size": len(data)} for path, data in repository.files.items()]
            return self.answer(200, {"id": name, "sha": COMMIT, "gated": "auto" if repository.gated else False, "siblings": siblings})

        def file(self, token: str, kind: str | None, name: str, revision: str, path: str) -> None:
            if (repository := self.repository(kind or "models", name, revision)) is None:
                return None
            if repository.gated and token not in hub.accepted:
                return self.answer(403 if token else 401, **{"X-Error-Code": "GatedRepo"})
            if path not in repository.files:
                return self.answer(404, **{"X-Error-Code": "EntryNotFound"})
            data = repository.files[path]
            headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
            return self.answer(200, data, **headers)

    return Handler


@contextmanager
def serving(hub: ModelHub) -> Iterator[ModelHub]:
    with http_server.serving(_handler(hub)) as hub.endpoint:
        yield hub


def use(monkeypatch, hub: ModelHub, cache) -> None:
    """Point the hub's library, whatever the environment said at its import, to `hub` and an empty cache."""
    import huggingface_hub
    from huggingface_hub import constants, hf_api

    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.setattr(hf_api.api, "endpoint", hub.endpoint)  # what huggingface_hub.model_info and its like are bound to
    monkeypatch.delenv("HF_TOKEN", raising=False)
    huggingface_hub.close_session()
