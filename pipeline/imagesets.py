"""Rows with images, from the hub at a pinned revision or from a folder: one reader for photographs, benchmarks and imports.

Rows are streamed and images keep their original bytes. How files become splits is up to `pipeline.imageset_files`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from pipeline.errors import UserError
from pipeline.imageset_files import lies_within, open_splits, require_commit, unreadable
from pipeline.photographs.splits import SPLITS
from pipeline.schema import Strict
from pipeline.sentence import sentence
from pipeline.yamlfile import read_yaml

LABELS = {"real": 0, "0_real": 0, "nature": 0, "0": 0, "synthetic": 1, "fake": 1, "1_fake": 1, "ai": 1, "1": 1}
"""Label 0 is real, 1 synthetic. The names are those of our datasets, of CNNSpot (`0_real`, `1_fake`) and GenImage (`nature`, `ai`)."""


class ImageSet(Strict):
    """Where rows with images are and what their columns are called.

    A folder holds Parquet files, or images with or without metadata files (the ImageFolder layout), or a dataset whose
    README.md names its files under `configs`. A dataset may be named before its commit is known; it is refused where it is used.
    """

    dataset: str | None = Field(default=None, pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$", description="hub id")
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$", description="commit of `dataset`")
    folder: Annotated[Path, Field(strict=False)] | None = Field(default=None, description="a local folder instead of `dataset`")
    config: str | None = Field(default=None, description="a configuration that the dataset's card names")
    splits: dict[Literal[SPLITS], str] | None = Field(default=None, min_length=1, description="our splits to theirs; null: the same names")
    image: str = "image"
    image_id: str = Field(default="image_id", description="where a set has no such column, the stem of the image's file name")
    label: str | None = Field(default=None, description="0 or real, 1 or synthetic; null: the rows carry no label")
    source: str | None = None
    group: str | None = None
    licence: str | None = None
    where: dict[str, str | int | float | bool] = Field(default={}, description="only rows with these values")

    @model_validator(mode="after")
    def _one_place(self) -> ImageSet:
        if (self.dataset is None) == (self.folder is None):
            raise ValueError("give either `dataset` (an id of the hub, with `revision`) or `folder`")
        if self.folder is not None and self.revision is not None:
            raise ValueError("`revision` belongs to `dataset`; a folder has none")
        return self

    def describe(self) -> str:
        """For messages and records: the folder, or the hub id with its commit."""
        if self.folder is not None:
            return str(self.folder)
        return f"{self.dataset}@{self.revision[:12]}" if self.revision else str(self.dataset)


def load_image_set(path: Path) -> ImageSet:
    """As `read_image_set`; raises UserError also where a dataset of the hub has no commit."""
    image_set = read_image_set(path)
    require_commit(str(path), image_set)
    return image_set


def read_image_set(path: Path) -> ImageSet:
    """The image set a .yaml file describes (its `folder` is relative to that file), or that a folder is.

    Raises UserError naming the file and the key.
    """
    if path.is_dir():
        return ImageSet(folder=path)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise UserError(f"{str(path)!r} is neither a folder nor a .yaml file that describes an image dataset; give one of the two")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a mapping with `dataset` or `folder`, found {type(content).__name__}")
    if isinstance(content.get("folder"), str):
        content["folder"] = path.parent / content["folder"]
    try:
        return ImageSet.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {sentence(_sentence(error))}") from None


def rows(image_set: ImageSet, images: bool = True, at_most: int = -1) -> Iterator[dict[str, Any]]:
    """Yield the rows of train, then validation, then test, in a stable order, a few in memory at a time.

    A row has `image_id`, `split` (ours), `bytes` (untouched), `path` (the image's file name or None), `label` (0, 1 or None),
    `source`, `group` and `licence` (text or None), and the set's other columns under their own names where these are not
    taken. `images=False` leaves `bytes` None, and reads no image where ids do not depend on it. Of an image file no more than
    its first `at_most` bytes are read, for the caller to refuse. Raises UserError for what cannot be reached or read, for
    what lies outside the set and for rows that make no sense.
    """
    found = False
    seen: dict[str, set[str]] = {column: set() for column in image_set.where}
    for split, stream in open_splits(image_set, images).items():
        names = {column: feature.names for column, feature in (stream.features or {}).items() if type(feature).__name__ == "ClassLabel"}
        for number, raw in enumerate(_guarded(stream, image_set)):
            row = {column: _class_name(value, names.get(column)) for column, value in raw.items()}
            if _matches(row, image_set, seen):
                found = True
                yield _row(row, image_set, split, f"row {number} of {split} in {image_set.describe()}", images, at_most)
    if not found and image_set.where:
        values = "; ".join(f"{column} has {', '.join(sorted(some)) or 'no value'}" for column, some in seen.items())
        raise UserError(f"{image_set.describe()}: no row matches `where` {image_set.where} ({values}); correct it")
    if not found:
        raise UserError(f"{image_set.describe()} holds no rows; give a dataset with images")


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        return f"{key}: is no key of an image set; known: {', '.join(ImageSet.model_fields)}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower()}{message[1:]} (got {first['input']!r})" if key else message


def _guarded(stream: Any, image_set: ImageSet) -> Iterator[dict[str, Any]]:
    try:
        yield from stream
    except Exception as error:  # a lost connection, a torn file
        raise unreadable(image_set, error) from error


def _class_name(value: Any, names: list[str] | None) -> Any:
    """A ClassLabel's number as its name: numbers mean nothing without the names, `fake` may be 0."""
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else value


def _matches(row: dict[str, Any], image_set: ImageSet, seen: dict[str, set[str]]) -> bool:
    for column, wanted in image_set.where.items():
        value = str(_column(row, column, "where", image_set))
        if len(seen[column]) < 10:
            seen[column].add(value)
        if value != str(wanted):
            return False
    return True


def _row(row: dict[str, Any], image_set: ImageSet, split: str, place: str, images: bool, at_most: int) -> dict[str, Any]:
    data = path = None
    if images or image_set.image in row:
        data, path = _image(_column(row, image_set.image, "image", image_set), image_set, place, images, at_most)
    others = {column: value for column, value in row.items() if column != image_set.image}
    return {
        **others,
        "image_id": _image_id(row, path, image_set, place),
        "split": split,
        "bytes": data,
        "path": path,
        "label": None if image_set.label is None else _label(_column(row, image_set.label, "label", image_set), place),
        "source": _text(row, "source", image_set),
        "group": _text(row, "group", image_set),
        "licence": _text(row, "licence", image_set),
    }


def _column(row: dict[str, Any], column: str, key: str, image_set: ImageSet) -> Any:
    if column not in row:
        raise UserError(f"{key}: {image_set.describe()} has no column {column!r}; it has {', '.join(sorted(row))}")
    return row[column]


def _text(row: dict[str, Any], key: str, image_set: ImageSet) -> str | None:
    column = getattr(image_set, key)
    value = None if column is None else _column(row, column, key, image_set)
    return None if value is None else str(value)


def _image_id(row: dict[str, Any], path: str | None, image_set: ImageSet, place: str) -> str:
    if image_set.image_id in row or "image_id" in image_set.model_fields_set:
        value = _column(row, image_set.image_id, "image_id", image_set)
        if value is None or isinstance(value, float) or str(value) == "":
            raise UserError(
                f"image_id: {place} has {value!r} in the column {image_set.image_id!r}; every row needs a text or a whole number"
            )
        return str(value)
    if path is None or not PurePosixPath(path).stem:
        raise UserError(f"image_id: {place} has neither a column 'image_id' nor a file name; name the column that tells images apart")
    return PurePosixPath(path).stem


def _label(value: Any, place: str) -> int:
    name = str(value).strip().lower() if isinstance(value, str | int) and not isinstance(value, bool) else None
    if name not in LABELS:
        raise UserError(f"label: {place} is labelled {value!r}; use 0 or 1, or a name of {', '.join(n for n in LABELS if len(n) > 1)}")
    return LABELS[name]


def _image(value: Any, image_set: ImageSet, place: str, images: bool, at_most: int) -> tuple[bytes | None, str | None]:
    """Bytes (where wanted) and file name of an image cell: {bytes, path}, or the bytes alone."""
    if isinstance(value, bytes):
        value = {"bytes": value}
    if not isinstance(value, dict) or not (value.get("bytes") or value.get("path")):
        raise UserError(f"image: {place} has no image in the column {image_set.image!r} (found {type(value).__name__}); remove the row")
    data, path = value.get("bytes"), value.get("path")
    name = None if not path else PurePosixPath(path.partition("::")[0].replace("\\", "/")).name
    if not images:
        return None, name
    return data if data else _fetched(path, image_set, place, at_most), name


def _fetched(path: str, image_set: ImageSet, place: str, at_most: int) -> bytes:
    """The bytes of an image stored beside the rows. A path that leads out of the set is refused: rows come from strangers."""
    import fsspec

    if not lies_within(path, image_set):
        raise UserError(f"image: {place} points at {path!r}, outside the dataset; only images within it are read")
    try:
        with fsspec.open(path, "rb") as file:
            return file.read(at_most)
    except Exception as error:  # of the file system or of the hub
        raise unreadable(image_set, error) from error
