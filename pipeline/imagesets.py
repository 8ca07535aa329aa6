"""Rows with images, from the hub at a pinned revision or from a folder: one reader for photographs, benchmarks and imports.

Rows are streamed and images keep their original bytes. Which split a local file belongs to is decided here and not by
the `datasets` library, which takes `flux1-dev` for a validation split.
"""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from pipeline.errors import UserError
from pipeline.images import EXTENSIONS
from pipeline.photographs.splits import SPLITS
from pipeline.schema import Strict

ALIASES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation", "test": "test"}
"""Names a split is known by, and ours."""
UNSPLIT = "train"
"""What a folder without splits counts as, as the `datasets` library has it."""
LABELS = {"real": 0, "0_real": 0, "nature": 0, "0": 0, "synthetic": 1, "fake": 1, "1_fake": 1, "ai": 1, "1": 1}
"""Label 0 is real, 1 synthetic. The names are those of our datasets, of CNNSpot (`0_real`, `1_fake`) and GenImage (`nature`, `ai`)."""
ROWS_AT_ONCE = 16
"""Rows of a Parquet file decoded together; whole row groups of large images would fill the memory."""
_CARD = "README.md"
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


class ImageSet(Strict):
    """Where rows with images are and what their columns are called.

    A folder holds Parquet files, or images with or without metadata files (the ImageFolder layout), or a dataset whose
    README.md names its files under `configs`.
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
        if self.dataset is not None and self.revision is None:
            raise ValueError("`dataset` needs `revision`, the commit of 40 hexadecimal digits, so that the rows stay the same")
        if self.folder is not None and self.revision is not None:
            raise ValueError("`revision` belongs to `dataset`; a folder has none")
        return self

    def describe(self) -> str:
        """For messages and records: the folder, or the hub id with its commit."""
        return str(self.folder) if self.folder is not None else f"{self.dataset}@{self.revision[:12]}"


def load_image_set(path: Path) -> ImageSet:
    """The image set a .yaml file describes (its `folder` is relative to that file), or that a folder is.

    Raises UserError naming the file and the key.
    """
    if path.is_dir():
        return ImageSet(folder=path)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise UserError(f"{str(path)!r} is neither a folder nor a .yaml file that describes an image dataset; give one of the two")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a mapping with `dataset` or `folder`, found {type(content).__name__}")
    if isinstance(content.get("folder"), str):
        content["folder"] = path.parent / content["folder"]
    try:
        return ImageSet.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_sentence(error)}") from None


def rows(image_set: ImageSet, images: bool = True) -> Iterator[dict[str, Any]]:
    """Yield the rows of train, then validation, then test, in a stable order, a few in memory at a time.

    A row has `image_id`, `split` (ours), `bytes` (untouched), `path` (the image's file name or None), `label` (0, 1 or None),
    `source`, `group` and `licence` (text or None), and the set's other columns under their own names where these are not
    taken. `images=False` leaves `bytes` None, and reads no image where ids do not depend on it. Raises UserError for what
    cannot be reached or read and for rows that make no sense.
    """
    found = False
    seen: dict[str, set[str]] = {column: set() for column in image_set.where}
    for split, stream in _streams(image_set, images).items():
        names = {column: feature.names for column, feature in (stream.features or {}).items() if type(feature).__name__ == "ClassLabel"}
        for number, raw in enumerate(_guarded(stream, image_set)):
            row = {column: _class_name(value, names.get(column)) for column, value in raw.items()}
            if _matches(row, image_set, seen):
                found = True
                yield _row(row, image_set, split, f"row {number} of {split} in {image_set.describe()}", images)
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


# Opening: which builder reads which files as which split.


def _streams(image_set: ImageSet, images: bool) -> dict[str, Any]:
    """One streaming dataset per split of ours; images stay undecoded."""
    from datasets.packaged_modules.parquet.parquet import ParquetConfig

    try:
        builder, ours = _hub(image_set) if image_set.dataset is not None else _local(image_set)
        parquet = isinstance(builder.config, ParquetConfig)
        if parquet:
            builder.config.batch_size = ROWS_AT_ONCE
        streams = builder.as_streaming_dataset()
        if parquet and not images:
            columns = list(next(iter(streams.values())).features or ())
            if image_set.image in columns and image_set.image_id in columns:  # ids alone: the images are not even fetched
                builder.config.columns = [column for column in columns if column != image_set.image]
                streams = builder.as_streaming_dataset()
        theirs = ours or _chosen([str(name) for name in streams], image_set)
        return {split: streams[theirs[split]].decode(False) for split in SPLITS if split in theirs}
    except UserError:
        raise
    except Exception as error:  # the library raises many kinds; all mean that the set cannot be opened
        raise _unreadable(image_set, error) from error


def _hub(image_set: ImageSet) -> tuple[Any, None]:
    from datasets import load_dataset_builder

    if Path(image_set.dataset).exists():  # the library would read it in place of the dataset
        raise UserError(f"dataset: a local {image_set.dataset!r} hides the hub's dataset of that name; rename it, or give it as `folder`")
    builder = load_dataset_builder(image_set.dataset, image_set.config, revision=image_set.revision)
    for path in (builder.config.data_files or {}).get("validation", ()):
        inner = str(path).partition(f"@{image_set.revision}/")[2]
        name = _split_name(PurePosixPath(inner), set(ALIASES))
        if ALIASES.get(name) != "validation" and re.search(r"(?<![a-z])dev(?![a-z])", inner):
            raise UserError(
                f"{image_set.describe()} leaves its splits to guessing, and {inner!r} would count as validation; download the dataset, "
                "name its files under `configs` in its README.md, and give it as `folder`"
            )
    return builder, None


def _local(image_set: ImageSet) -> tuple[Any, dict[str, str] | None]:
    """The builder of a folder, and which of its splits are ours where that is settled already."""
    from datasets import Features, Image, Value, load_dataset_builder

    folder = Path(os.path.abspath(image_set.folder))
    if not folder.is_dir():
        raise UserError(f"folder: {str(image_set.folder)!r} is no folder; give one that holds Parquet files or images")
    if _names_its_files(folder / _CARD):
        return load_dataset_builder(str(folder), image_set.config), None
    if image_set.config is not None:
        raise UserError(f"config: {str(image_set.folder)!r} has no README.md that names configs; remove {image_set.config!r}")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _hidden(path.relative_to(folder))]
    tables = [path for path in files if path.suffix == ".parquet" and path.name not in _METADATA]
    pictures = [path for path in files if path.suffix.lower() in EXTENSIONS]
    if bool(tables) == bool(pictures):
        held = "both Parquet files and images" if tables else "neither Parquet files nor images"
        raise UserError(f"folder: {str(image_set.folder)!r} holds {held}; give a folder with one of the two")
    if tables:
        by_split = _by_split(tables, folder, image_set)
        return load_dataset_builder("parquet", data_files=by_split), {split: split for split in by_split}
    metadata = [path for path in files if path.name in _METADATA]
    by_split = _by_split([*metadata, *pictures], folder, image_set)
    settings = {}
    if headers := [path for path in metadata if path.suffix == ".csv"]:  # all as text: read as numbers, the id 0001 becomes 1
        with open(headers[0], newline="", encoding="utf-8-sig") as text:
            columns = [column for column in next(csv.reader(text), []) if column != "file_name"]
        settings["features"] = Features({"image": Image(), **{column: Value("string") for column in columns}})
    return load_dataset_builder("imagefolder", data_files=by_split, **settings), {split: split for split in by_split}


def _names_its_files(card: Path) -> bool:
    from huggingface_hub import DatasetCard

    if not card.is_file():
        return False
    configs = DatasetCard.load(card, ignore_metadata_errors=False).data.get("configs") or []
    return any("data_files" in config for config in configs)


def _by_split(files: list[Path], folder: Path, image_set: ImageSet) -> dict[str, list[str]]:
    """{our split: files}, from exact names of folders and, for tables, the beginnings of file names."""
    known = {*ALIASES, *(image_set.splits or {}).values()}
    theirs: dict[str | None, list[Path]] = defaultdict(list)
    for path in files:
        theirs[_split_name(path.relative_to(folder), known)].append(path)
    if (stray := theirs.pop(None, [])) and theirs:
        raise UserError(
            f"folder: in {str(image_set.folder)!r} {str(stray[0].relative_to(folder))!r} lies in no split while others do; put it into "
            "a folder called train, validation or test, or name all files under `configs` in a README.md"
        )
    theirs = dict(theirs) or {UNSPLIT: stray}
    chosen = _chosen(list(theirs), image_set)
    return {split: [str(path) for path in theirs[chosen[split]]] for split in SPLITS if split in chosen}


def _split_name(path: PurePosixPath | Path, known: set[str]) -> str | None:
    """The split a file's relative path names: a folder of exactly that name, or a Parquet file's name that begins with it."""
    for part in path.parts[:-1]:
        if part in known:
            return part
    if path.suffix == ".parquet" and path.name not in _METADATA:
        return next((name for name in sorted(known) if re.match(rf"{re.escape(name)}([-_.].*)?$", path.stem)), None)
    return None


def _chosen(found: list[str], image_set: ImageSet) -> dict[str, str]:
    """{our split: theirs} of the splits there are."""
    if image_set.splits is not None:
        if absent := [name for name in image_set.splits.values() if name not in found]:
            raise UserError(f"splits: {image_set.describe()} has no split {absent[0]!r}; it has {', '.join(sorted(found))}")
        return dict(image_set.splits)
    chosen: dict[str, str] = {}
    for name in found:
        split = ALIASES.get(name)
        if split is None or split in chosen:
            problem = f"is none of {', '.join(ALIASES)}" if split is None else f"and {chosen[split]!r} would both be our {split}"
            raise UserError(
                f"splits: {image_set.describe()} has the splits {', '.join(sorted(found))}, and {name!r} {problem}; say which are ours, "
                "for example splits: {test: " + name + "}"
            )
        chosen[split] = name
    return chosen


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


# Reading: one row of theirs to one of ours.


def _guarded(stream: Any, image_set: ImageSet) -> Iterator[dict[str, Any]]:
    try:
        yield from stream
    except Exception as error:  # a lost connection, a torn file
        raise _unreadable(image_set, error) from error


def _unreadable(image_set: ImageSet, error: Exception) -> UserError:
    said = re.sub(r"hf_\w+|\?\S+", "...", " ".join(str(error).split()))  # tokens, and queries of signed addresses
    reason = f"{type(error).__name__}: {said[:300]}"
    if image_set.dataset is None:
        return UserError(f"{image_set.describe()} cannot be read ({reason}); check its files")
    return UserError(
        f"{image_set.describe()} cannot be read from the hub ({reason}); check the connection, the id and the revision, and for a gated "
        "or private dataset accept its terms and run `hf auth login`"
    )


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


def _row(row: dict[str, Any], image_set: ImageSet, split: str, place: str, images: bool) -> dict[str, Any]:
    data = path = None
    if images or image_set.image in row:
        data, path = _image(_column(row, image_set.image, "image", image_set), image_set, place, images)
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


def _image(value: Any, image_set: ImageSet, place: str, images: bool) -> tuple[bytes | None, str | None]:
    """Bytes (where wanted) and file name of an image cell: {bytes, path}, or the bytes alone."""
    if isinstance(value, bytes):
        value = {"bytes": value}
    if not isinstance(value, dict) or not (value.get("bytes") or value.get("path")):
        raise UserError(f"image: {place} has no image in the column {image_set.image!r} (found {type(value).__name__}); remove the row")
    data, path = value.get("bytes"), value.get("path")
    name = None if not path else PurePosixPath(path.partition("::")[0].replace("\\", "/")).name
    if not images:
        return None, name
    return data if data else _fetched(path, image_set, place), name


def _fetched(path: str, image_set: ImageSet, place: str) -> bytes:
    """The bytes of an image stored beside the rows. A path that leads out of the set is refused: rows come from strangers."""
    import fsspec

    container = path.rpartition("::")[2]  # of zip://member::archive the archive
    if image_set.dataset is not None:
        inside = container.startswith("hf://datasets/") and f"@{image_set.revision}/" in container
    else:
        inside = "://" not in container and Path(os.path.abspath(container)).is_relative_to(os.path.abspath(image_set.folder))
    if not inside:
        raise UserError(f"image: {place} points at {path!r}, outside the dataset; only images within it are read")
    try:
        with fsspec.open(path, "rb") as file:
            return file.read()
    except Exception as error:  # of the file system or of the hub
        raise _unreadable(image_set, error) from error
