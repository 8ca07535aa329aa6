"""What data/models/<name> says of weights that were not trained here, and where they lie.

Weights stay in the hub's cache or the user's folder; the model folder holds `weights.json`, their record: id and commit (or
folder), licence, and every needed file with its SHA-256 and size in bytes. A model trained here lies in its folder whole.
"""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.files import read_json, write_json
from pipeline.fingerprints import file_sha256, files_fingerprint, folder_fingerprint
from pipeline.foreign_code import refuse_code
from pipeline.hub import INDEX, component_folders, fetch, hub_files, needed_files, require_pinned
from pipeline.imageset_files import require_inside
from pipeline.imagesets import ImageSet
from pipeline.progress import track
from pipeline.seeds import digest

RECORD = "weights.json"
IMAGES = "images.json"
"""The record of images that exist already, in place of a model; see `pipeline.models.images`."""

_hashed: dict[tuple[str, int, int], str] = {}


def key_of(name: str) -> str:
    """The key of params.yaml that states the model `name`."""
    return f"{name}.model" if name in ("clip", "captioner") else f"generators.{name}.model"


def stage_of(name: str) -> str:
    return name if name in ("clip", "captioner") else f"models@{name}"


def record_weights(folder: Path, name: str, settings: Any, preferred: tuple[str, ...] = ()) -> dict:
    """Fetch the weights of `settings` (see pretrained.Settings) where needed, hash them, and write their record into `folder`.

    Raises UserError where they cannot be had, are pickles only, ask for code, are not pinned to a commit, or arrived damaged.
    """
    key = key_of(name)
    if settings.id:
        commit = require_pinned(key, settings.id, settings.revision)
        needed = list(hub_files(key, settings.id, commit, settings.variant, preferred))
        source = fetch(key, settings.id, commit, needed)
    else:
        source = Path(settings.folder)
        needed = local_files(key, source, settings.variant, preferred)
    refuse_code(source)
    files = hashes(source, needed, name)
    if settings.id:
        _require_as_published(key, source, files)
    record = {
        "id": settings.id,
        "folder": settings.folder,
        "commit": settings.revision,
        "variant": settings.variant,
        "licence": settings.licence,
        "gated": settings.gated,
        "released": settings.released,
        "files": files,
        "bytes": sum(file["bytes"] for file in files.values()),
    }
    write_json(folder / RECORD, record)
    return record


def local_files(key: str, folder: Path, variant: str | None, preferred: tuple[str, ...] = ()) -> list[str]:
    """The files that loading the model in a local folder needs. Raises UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"{key}.folder: {str(folder)!r} does not exist; give the path of a folder that holds a saved model")
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    components = component_folders(read_json(folder / INDEX)) if INDEX in names else []
    return needed_files(key, f"the folder {str(folder)!r}", names, variant, components, preferred)


def hashes(source: Path, names: list[str], title: str) -> dict[str, dict]:
    """{name: {sha256, bytes}} of files below `source`; a file is read once in a process as long as it stays as it is."""
    return {
        name: {"sha256": _sha256(source / name), "bytes": (source / name).stat().st_size}
        for name in track(names, f"{title}: hashing", unit="file")
    }


def weights_folder(model: Path) -> Path:
    """Where the weights of data/models/<name> lie, after a check that they are what was recorded.

    Raises UserError where a file is missing, has changed or asks for code of its maker's. A hub's snapshot is compared by sizes
    (its files are named by their hashes and never rewritten), a user's folder by contents.
    """
    record = _record(model)
    if record is None:
        refuse_code(model)
        return model
    again = f"run dvc repro --force {stage_of(model.name)}"
    source = _snapshot(record, again) if record["id"] else Path(record["folder"])
    for name, recorded in record["files"].items():
        path = source / name
        if not path.is_file():
            raise UserError(f"{path} is missing, which {stage_of(model.name)} recorded; put it back, or {again}")
        if path.stat().st_size != recorded["bytes"] or (record["folder"] and _sha256(path) != recorded["sha256"]):
            raise UserError(f"{path} has changed since {stage_of(model.name)} recorded it; {again}")
    refuse_code(source)
    return source


def image_record(name: str, images: ImageSet) -> dict:
    """What identifies the images that generator `name` imports, in the shape of a record of weights.

    Of a dataset on the hub the id and commit, of a folder its files' hashes; `set` is the image set itself and `description`
    a digest of what it says beside the place, which is which rows are meant. Raises UserError where there are no images, or
    no commit says which.
    """
    key = key_of(name)
    if images.dataset:
        require_pinned(key, images.dataset, images.revision, "dataset")
    else:
        require_inside(images.folder, _files(images.folder))
    rest = images.model_dump(mode="json", exclude={"dataset", "revision", "folder"}, exclude_defaults=True)
    files = {} if images.dataset else hashes(images.folder, _visible_files(images.folder), name)
    if not images.dataset and not files:
        raise UserError(f"{key}: the folder {str(images.folder)!r} holds no files; put the images there or correct the path")
    return {
        "set": images.model_dump(mode="json", exclude_unset=True),  # which keys are set says which columns must be there
        "id": images.dataset,
        "commit": images.revision,
        "folder": None if images.dataset else str(images.folder),
        "description": digest(rest) if rest else None,
        "files": files,
        "bytes": sum(file["bytes"] for file in files.values()),
    }


def recorded_images(model: Path) -> ImageSet:
    """The image set that data/models/<name> recorded. Raises UserError where a folder's images are others by now."""
    record = read_json(model / IMAGES)
    images = ImageSet.model_validate(record["set"])
    if image_record(model.name, images) != record:
        stage = stage_of(model.name)
        raise UserError(f"the images in {images.describe()} have changed since {stage} recorded them; run dvc repro --force {stage}")
    return images


def identity(model: Path) -> tuple[str, str]:
    """(model, revision), as rows of the dataset name what made them; the same wherever a folder lies.

    From the hub: the id and the commit, with the variant of the weights where one is used. From a folder: its name and a
    digest of its files' names and contents. Trained here: the model folder and its fingerprint. Images that exist already:
    likewise, with a digest of the description that says which of a dataset's images are meant.
    """
    record = _record(model) or _record(model, IMAGES)
    if record is None:
        return str(model), folder_fingerprint(model)
    if record["id"]:
        name, revision = record["id"], record["commit"]
    else:
        contents = {file: recorded["sha256"] for file, recorded in record["files"].items()}
        name, revision = Path(record["folder"]).resolve().name, files_fingerprint(contents)
    qualifier = record.get("variant") or (record.get("description") or "")[:12]
    return name, f"{revision}-{qualifier}" if qualifier else revision


def variant_of(model: Path) -> str | None:
    """The variant of the weights (such as fp16) that loading must ask for."""
    record = _record(model)
    return record["variant"] if record else None


def _record(model: Path, name: str = RECORD) -> dict | None:
    return read_json(model / name) if (model / name).is_file() else None


def _snapshot(record: dict, again: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    patterns = [glob.escape(name) for name in record["files"]]
    try:
        return Path(snapshot_download(record["id"], revision=record["commit"], allow_patterns=patterns, local_files_only=True))
    except LocalEntryNotFoundError:
        raise UserError(f"{record['id']} at {record['commit']} is no longer complete in the hub's cache; {again} to fetch it") from None


def _visible_files(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in _files(folder)]


def _files(folder: Path) -> list[Path]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _require_as_published(key: str, source: Path, files: dict[str, dict]) -> None:
    """The cache names a large file by the SHA-256 that the hub states; small ones have another kind of name."""
    for name, file in files.items():
        blob = (source / name).resolve()
        if len(blob.name) == 64 and blob.name != file["sha256"]:
            raise UserError(f"{key}: {name} arrived damaged; delete {blob} and run again")


def _sha256(path: Path) -> str:
    status = path.stat()
    seen = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    if seen not in _hashed:
        _hashed[seen] = file_sha256(path)
    return _hashed[seen]
