"""`synthclic publish`: the packaged dataset to a folder or to the hub, with or without the photographs' pixels.

Only what the card names is published, never what a removed generator left behind. A target that holds anything else than
a former publication is refused; of a former one, files that are no longer named are deleted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import UserError
from pipeline.files import read_json, replacing_folder
from pipeline.fingerprints import file_sha256
from pipeline.progress import track
from pipeline.publication import (
    CARD,
    RECORD,
    Record,
    card_files,
    card_without_photographs,
    is_photographs,
    read_record,
    strip_images,
)

HUB = "hub:"
PROVENANCE = "provenance.json"
"""In a publication: what each of its sources was made by, as the stages recorded it beside the dataset."""
SHARED_STAGES, STAGES = ("photographs", "captioner", "caption", "package-photographs"), ("models", "generate", "package")
TIMEOUT = 10.0
"""Seconds to wait for the hub's first answer; the library's own client waits for ever."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def publish(dataset: Path, target: str, without_photographs: bool, private: bool = True) -> Path | str:
    """Publish `dataset` to `target`, a folder or `hub:owner/name`; returns the folder or the repository's address.

    The hub's token comes from the environment variable HF_TOKEN. `private` is the visibility of a repository on the hub.
    Raises UserError before anything is written where the dataset, the target or the token is not as needed.
    """
    name, files = card_files(dataset)
    record = read_record(dataset)
    if record is not None and record.without_photographs:
        raise UserError(f"{dataset} is itself published without photographs; run synthclic restore first")
    if target.startswith(HUB):
        return _to_hub(dataset, name, files, target, without_photographs, private)
    return _to_folder(dataset, files, Path(target).resolve(), without_photographs)


def _contents(dataset: Path, files: list[str], without_photographs: bool, scratch: Path) -> dict[str, Path]:
    """Path below the publication: the file to put there. What differs from the dataset is written into `scratch`."""
    contents = {path: dataset / path for path in files}
    card = (dataset / CARD).read_text(encoding="utf-8")
    if without_photographs:
        card = card_without_photographs(dataset, files)
        for path in filter(is_photographs, files):
            contents[path] = scratch / path
            strip_images(dataset / path, scratch / path)
    hashes = {path: file_sha256(place) for path, place in track(contents.items(), "reading", unit="file")}
    texts = {CARD: card, RECORD: Record(without_photographs=without_photographs, files=hashes).text()}
    if known := _provenance(dataset.parent / "provenance", files):  # a dataset that was moved has lost what lay beside it
        texts[PROVENANCE] = json.dumps(known, indent=2, ensure_ascii=False) + "\n"
    for path, text in texts.items():
        contents[path] = scratch / path
        contents[path].write_text(text, encoding="utf-8")
    return contents


def _provenance(folder: Path, files: list[str]) -> dict[str, dict]:
    """{stage: its record} of the stages behind the sources that `files` name, where they left one."""
    sources = sorted({path.partition("/")[0] for path in files if not is_photographs(path)})
    stages = [*SHARED_STAGES, *(f"{stage}@{source}" for source in sources for stage in STAGES)]
    return {stage: read_json(folder / f"{stage}.json") for stage in stages if (folder / f"{stage}.json").is_file()}


def _to_folder(dataset: Path, files: list[str], target: Path, without_photographs: bool) -> Path:
    if target.is_relative_to(dataset.resolve()):
        raise UserError(f"{target} lies inside the dataset; publish to a folder outside {dataset}")
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file; give a folder")
    present = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
    record = read_record(target)
    foreign = sorted(present - ({CARD, RECORD, PROVENANCE, *record.files} if record else set()))
    if foreign:
        raise UserError(f"{target} holds {foreign[0]}, which is not of a former publication; give a new or an empty folder")
    with tempfile.TemporaryDirectory(prefix="synthclic-") as scratch, replacing_folder(target) as folder:
        contents = _contents(dataset, files, without_photographs, Path(scratch))
        for path, place in track(contents.items(), "publishing", unit="file"):
            (folder / path).parent.mkdir(exist_ok=True)
            shutil.copyfile(place, folder / path)
    return target


def _to_hub(dataset: Path, name: str, files: list[str], target: str, without_photographs: bool, private: bool) -> str:
    """One commit, so that nobody ever downloads half a publication."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    repository = target.removeprefix(HUB)
    if not _REPOSITORY.fullmatch(repository):
        raise UserError(f"{target}: expected {HUB}owner/name, for example {HUB}you/synthclic")
    api = HfApi(token=_token())
    with _one_sentence(target, _address(api)), tempfile.TemporaryDirectory(prefix="synthclic-") as scratch:
        parent, stale = _remote(api, repository, set(files), without_photographs, private, Path(scratch))
        contents = _contents(dataset, files, without_photographs, Path(scratch))
        if parent is None:
            api.create_repo(repository, repo_type="dataset", private=private, exist_ok=False)
        additions = [CommitOperationAdd(path, place) for path, place in contents.items()]
        api.create_commit(
            repository,
            additions + [CommitOperationDelete(path) for path in stale],
            repo_type="dataset",
            commit_message=f"Publish {name}{' without photographs' if without_photographs else ''}",
            parent_commit=parent,
        )
    return f"{_address(api)}/datasets/{repository}"


def _address(api) -> str:
    """Where the hub is, without the name and password that HF_ENDPOINT may hold."""
    parts = urlsplit(api.endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _remote(api, repository: str, files: set[str], without_photographs: bool, private: bool, scratch: Path) -> tuple[str | None, list[str]]:
    """The repository's newest commit (None: there is no such repository) and its files that are to be deleted."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.dataset_info(repository, timeout=TIMEOUT)
    except RepositoryNotFoundError:
        return None, []
    if bool(info.private) != private:
        now, asked = ("private", "public") if info.private else ("public", "private")
        raise UserError(f"{HUB}{repository} is {now} and was to be {asked}; change its settings on the hub, or ask for {now}")
    present = {file.rfilename for file in info.siblings or []}
    record = None
    if RECORD in present:
        api.hf_hub_download(repository, RECORD, repo_type="dataset", revision=info.sha, local_dir=scratch / "remote")
        record = read_record(scratch / "remote")
    foreign = sorted(present - {CARD, ".gitattributes"})
    if record is None and foreign:
        raise UserError(f"{HUB}{repository} holds {foreign[0]} and is not a former publication; give a new repository")
    if record is not None and without_photographs and not record.without_photographs:
        raise UserError(
            f"{HUB}{repository} was published with its photographs, and its history would keep their pixels; "
            "give another repository, or delete this one first"
        )
    stale = sorted((set(record.files) - files) & present) if record else []
    return info.sha, stale


def _token() -> str:
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise UserError("HF_TOKEN is not set; make a token with write access in the hub's settings and export it as HF_TOKEN")
    if not re.fullmatch(r"[!-~]+", token):
        raise UserError("HF_TOKEN holds characters that no token has; export it again")
    return token


@contextmanager
def _one_sentence(target: str, address: str) -> Iterator[None]:
    """The hub's refusals as sentences of our own: its messages may quote what was sent."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except OfflineModeIsEnabled:
        raise UserError(f"{target}: HF_HUB_OFFLINE is set, so the hub is not asked; unset it to publish") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedies = {
            401: "the hub does not accept the token in HF_TOKEN; make a new one with write access",
            403: f"the token in HF_TOKEN may not write there; give one with write access to {target.removeprefix(HUB).split('/')[0]}",
            409: "the repository exists or is being changed, and this token cannot read it; give another name or token",
            412: "the repository was changed meanwhile; publish again",
        }
        raise UserError(f"{target}: {remedies.get(status, f'the hub answered {status}; try again later')}") from None
    except (HTTPError, LocalEntryNotFoundError) as error:
        raise UserError(f"{target}: cannot reach {address} ({type(error).__name__}); check the network or HF_ENDPOINT") from None
    except RuntimeError:  # how the two upload protocols say that a transfer failed
        raise UserError(f"{target}: the upload broke off before its commit; publish again, most of it is not sent twice") from None
