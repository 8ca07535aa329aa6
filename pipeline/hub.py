"""The model hub: which files of a repository are needed, what is here already, and why something cannot be had.

Every function that may fail takes the `key` of the parameters at fault. Sentences carry ids, commits and status codes only:
what the hub's library says of an error may quote requests, and those carry the token.
"""

from __future__ import annotations

import errno
import glob
import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import UserError

TIMEOUT = 10.0
"""Seconds to wait for an answer; the library's own clients wait for ever."""
WAITS = (1.0, 2.0, 4.0)
"""Seconds before the next try when the hub is busy and states no time of its own."""
LONGEST_WAIT = 60.0
INDEX = "model_index.json"
"""What makes a repository a pipeline of diffusers: it names the folders of its components."""

CONFIGURATION = (".json", ".txt", ".model", ".jinja", ".tiktoken")
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
WEIGHTS = re.compile(r"(?P<base>.+?)(\.(?P<variant>[^./]+?))?(-\d{5}-of-\d{5})?\.safetensors(\.index(\.(?P<of_index>[^./]+))?\.json)?")
"""`model.safetensors`, `model.fp16-00001-of-00002.safetensors`, `model.safetensors.index.fp16.json`."""


def needed_files(
    key: str, where: str, names: Iterable[str], variant: str | None, components: Iterable[str] = (), preferred: tuple[str, ...] = ()
) -> list[str]:
    """The files that loading needs: configurations, vocabularies and safetensors at the root and in `components`, sorted.

    The choice depends on the repository alone, never on what a cache happens to hold. `preferred` weights shut out the
    others at the root (a repository may hold one model in two formats). Pickles and code are never among them. Raises
    UserError where no weights are left; `where` is what the sentence calls the repository.
    """
    names, folders = sorted(names), {"", *components}
    chosen, weights = [], {}
    for name in names:
        folder, _, plain = name.rpartition("/")
        if folder not in folders or plain.startswith("."):
            continue
        if match := WEIGHTS.fullmatch(plain):
            weights.setdefault(folder, []).append((name, match["variant"] or match["of_index"]))
        elif plain.endswith(CONFIGURATION) and ".bin.index" not in plain:
            chosen.append(name)
    if INDEX in chosen:
        weights.pop("", None)  # the same model once more, in one file, for other programs
    if any(name in preferred for name, _ in weights.get("", [])):
        weights[""] = [(name, of) for name, of in weights[""] if name in preferred]
    variants = sorted({of for files in weights.values() for _, of in files if of})
    if variant is not None and variant not in variants:
        raise UserError(f"{key}.variant: {where} has no variant {variant!r}; choose of {', '.join(variants) or 'none'}")
    for folder, files in weights.items():
        wanted = variant if any(of == variant for _, of in files) else None
        found = [name for name, of in files if of == wanted]
        if not found:
            raise UserError(f"{key}.variant: {where} has {folder or 'its'} weights as {', '.join(variants)} only; choose one of these")
        chosen += found
    if not weights:
        if any(name.endswith(PICKLES) for name in names):
            raise UserError(
                f"{key}: {where} holds weights as pickles only, which can run code of their maker's; "
                "choose a revision with .safetensors, or load it once where you trust it and save_pretrained it to a folder"
            )
        raise UserError(f"{key}: {where} holds no model weights (.safetensors); give a model that transformers or diffusers saved")
    return sorted(chosen)


def component_folders(index: dict) -> list[str]:
    """The folders of a diffusers pipeline that its model_index.json names: those of components that are not null."""
    return [name for name, value in index.items() if isinstance(value, list) and value[:1] != [None]]


def hub_files(key: str, model_id: str, revision: str, variant: str | None, preferred: tuple[str, ...] = ()) -> dict[str, int]:
    """Needed files of a repository at a commit, with their sizes in bytes; asks the hub only for what is not cached."""
    import json

    from huggingface_hub import hf_hub_download

    sizes = _listing(key, model_id, revision)
    components: list[str] = []
    if INDEX in sizes:
        index = _asked(key, model_id, revision, lambda: hf_hub_download(model_id, INDEX, revision=revision, etag_timeout=TIMEOUT))
        components = component_folders(json.loads(Path(index).read_text(encoding="utf-8")))
    return {name: sizes[name] for name in needed_files(key, model_id, sizes, variant, components, preferred)}


def not_cached(model_id: str, revision: str, files: Iterable[str]) -> list[str]:
    """Those of `files` that are not in the hub's cache yet."""
    from huggingface_hub import try_to_load_from_cache

    return [name for name in files if not isinstance(try_to_load_from_cache(model_id, name, revision=revision), str)]


def fetch(key: str, model_id: str, revision: str, files: Iterable[str]) -> Path:
    """Bring `files` into the hub's cache, continuing what was broken off; returns the snapshot's folder."""
    from huggingface_hub import get_session, snapshot_download

    session = get_session()
    if _answer_in_time not in session.event_hooks["request"]:
        session.event_hooks = {**session.event_hooks, "request": [*session.event_hooks["request"], _answer_in_time]}
    patterns = [glob.escape(name) for name in files]
    call = partial(snapshot_download, model_id, revision=revision, allow_patterns=patterns, etag_timeout=TIMEOUT)
    return Path(_asked(key, model_id, revision, call))


def _answer_in_time(request: Any) -> None:
    """snapshot_download asks for the list of files itself, and would wait for ever."""
    waits = request.extensions["timeout"]
    request.extensions["timeout"] = {step: TIMEOUT if seconds is None else seconds for step, seconds in waits.items()}


def commit_of_main(key: str, model_id: str, kind: str = "model") -> str:
    from huggingface_hub import HfApi

    return _asked(key, model_id, None, lambda: HfApi().repo_info(model_id, repo_type=kind, timeout=TIMEOUT).sha, kind)


def require_pinned(key: str, model_id: str, revision: str | None, kind: str = "model") -> str:
    """The revision. Raises UserError with the commit to write down where there is none: main changes without notice."""
    if revision is None:
        today = commit_of_main(key, model_id, kind)
        raise UserError(f"{key}.revision: is missing; main of {model_id} is {today} today: write that commit down")
    return revision


def require_access(key: str, model_id: str, revision: str, file: str, kind: str = "model") -> None:
    """Raise UserError unless the hub would hand out `file`: the licence of a gated model may not be accepted, the token wrong."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(model_id, file, revision=revision, repo_type=kind)
    _asked(key, model_id, revision, lambda: get_hf_file_metadata(url, timeout=TIMEOUT), kind)


def require_dataset(key: str, dataset_id: str, revision: str | None) -> None:
    """Raise UserError unless the hub would hand out the files of a dataset; they are read from there each time."""
    from huggingface_hub import HfApi

    info = _asked(key, dataset_id, revision, lambda: HfApi().dataset_info(dataset_id, revision=revision, timeout=TIMEOUT), "dataset")
    if info.siblings:
        require_access(key, dataset_id, info.sha, info.siblings[0].rfilename, "dataset")


def _listing(key: str, model_id: str, revision: str) -> dict[str, int]:
    """All files of a commit with their sizes: from the cache, where an earlier download has left the list, or from the hub."""
    from huggingface_hub import HfApi, get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return {file.path: file.size for file in get_cached_repo_tree(model_id, revision=revision)}
    except CachedRepoTreeNotFoundError:
        info = _asked(
            key, model_id, revision, lambda: HfApi().model_info(model_id, revision=revision, files_metadata=True, timeout=TIMEOUT)
        )
        return {file.rfilename: file.size or 0 for file in info.siblings}


def _asked(key: str, model_id: str, revision: str | None, call: Callable[[], Any], kind: str = "model") -> Any:
    """The answer to `call`; a busy hub is asked again, every other failure is a UserError."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # HTTPError: the HTTP client's own, whichever the library uses

    for wait in (*WAITS, None):
        try:
            return call()
        except (OSError, HTTPError, RuntimeError) as error:  # RuntimeError: how the transfer of large files (hf_xet) fails
            response = error.response if isinstance(error, HfHubHTTPError) else None
            if response is None or wait is None or not (response.status_code == 429 or response.status_code >= 500):
                raise UserError(f"{key}: {_explained(error, model_id, revision, kind)}") from None
            stated = response.headers.get("Retry-After", "")
            time.sleep(min(float(stated) if stated.isdecimal() else wait, LONGEST_WAIT))
    raise AssertionError("the last try returns or raises")


def _explained(error: Exception, model_id: str, revision: str | None, kind: str) -> str:
    from huggingface_hub import constants, errors, get_token

    host = urlsplit(constants.ENDPOINT).hostname  # never the address itself, which may hold a password
    page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{model_id}"
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) and error.response is not None else None
    cause = error.__cause__
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(cause, Exception):  # what snapshot_download met first
        return _explained(cause, model_id, revision, kind)
    if isinstance(error, errors.GatedRepoError):
        if get_token() is None:
            return f"{model_id} is gated and there is no token; accept the licence at {page} and set HF_TOKEN"
        return (
            f"{model_id} is gated and the token may not read it; accept the licence at {page} with the token's account "
            "and set HF_TOKEN to one with access to gated repositories"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{model_id} has no revision {revision}; look up a commit at {page}/commits/main and correct `revision`"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{model_id} does not exist at {host} or is private; correct the id, or set HF_TOKEN to a token that may read it"
    if isinstance(error, errors.EntryNotFoundError) and status is not None:
        return f"{model_id} at revision {revision} lacks a file it lists; choose another revision"
    if status == 401:
        return f"{host} does not know the token (401); set HF_TOKEN to a valid one"
    if status == 403:
        return f"{host} refuses access to {model_id} (403); accept its terms at {page} and set HF_TOKEN to a token that may read it"
    if status is not None:
        return f"{host} answers {status} for {model_id}; wait a while and run again, what was downloaded is kept"
    if isinstance(error, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError) or constants.HF_HUB_OFFLINE:
        return f"{model_id} is not completely in the hub's cache and HF_HUB_OFFLINE is set; unset it, or download the model first"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of the hub's cache is full; make room or set HF_HUB_CACHE to a larger one to have {model_id}"
    return f"{host} cannot be reached for {model_id} ({type(error).__name__}); check the network and HF_ENDPOINT, then run again"
