"""Which files of an image set are read, by which builder of the `datasets` library, as which split.

The split of a local file is decided here and not by that library, which takes `flux1-dev` for a validation split.
"""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.images import EXTENSIONS
from pipeline.links import leads_out
from pipeline.photographs.splits import SPLITS
from pipeline.secrets import redact

if TYPE_CHECKING:
    from pipeline.imagesets import ImageSet

ALIASES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation", "test": "test"}
"""Names a split is known by, and ours."""
UNSPLIT = "train"
"""What a folder without splits counts as, as the `datasets` library has it."""
ROWS_AT_ONCE = 16
"""Rows of a Parquet file decoded together; whole row groups of large images would fill the memory."""
_CARD = "README.md"
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def open_splits(image_set: ImageSet, images: bool) -> dict[str, Any]:
    """One streaming dataset per split of ours; images stay undecoded. Raises UserError where the set cannot be opened."""
    from datasets.packaged_modules.parquet.parquet import ParquetConfig

    require_commit(image_set.describe(), image_set)
    try:
        builder, ours = _hub(image_set) if image_set.dataset is not None else _local(image_set)
        _require_own(builder, image_set)
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
        raise unreadable(image_set, error) from error


def require_commit(place: str, image_set: ImageSet) -> None:
    """Raise UserError, beginning with `place`, for a dataset of the hub without a commit: its rows may change unnoticed."""
    if image_set.dataset is not None and image_set.revision is None:
        raise UserError(f"{place}: `dataset` needs `revision`, the commit of 40 hexadecimal digits, so that the rows stay the same")


def lies_within(path: str, image_set: ImageSet) -> bool:
    """Whether a path or address, such as a row or a card may state, leads to a file of the set itself."""
    container = path.rpartition("::")[2]  # of zip://member::archive the archive
    if image_set.dataset is not None:
        return re.match(rf"hf://datasets/[\w.-]+(/[\w.-]+)?@{image_set.revision}/", container) is not None
    return "://" not in container and not leads_out(container, image_set.folder)


def require_inside(folder: Path, files: Iterable[Path]) -> None:
    """Raise UserError for the first of `files` below `folder` that is a link out of it."""
    for path in files:
        if leads_out(path, folder):
            raise UserError(
                f"folder: in {str(folder)!r} {str(path.relative_to(folder))!r} is a link that leads out of it; put a copy in its place"
            )


def unreadable(image_set: ImageSet, error: Exception) -> UserError:
    """What to raise for an error of the library, the file system or the hub.

    Of the hub class and status only, as `pipeline.hub` does: what its library says may quote requests, and those carry secrets.
    """
    if image_set.dataset is None:
        said = redact(" ".join(str(error).split()))[:300]
        return UserError(f"{image_set.describe()} cannot be read ({type(error).__name__}: {said}); check its files")
    reason = ", ".join([type(error).__name__, *_statuses(error)])
    return UserError(
        f"{image_set.describe()} cannot be read from the hub ({reason}); check the connection, the id and the revision, and for a gated "
        "or private dataset accept its terms and run `hf auth login`"
    )


def _statuses(error: BaseException | None) -> list[str]:
    """What the hub answered, where it did: the library often wraps the error that holds the answer."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return [f"status {status}"]
        error = error.__cause__ or error.__context__
    return []


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


def _require_own(builder: Any, image_set: ImageSet) -> None:
    """A card may name files anywhere, on this machine or elsewhere."""
    for files in (builder.config.data_files or {}).values():
        for path in files:
            if not lies_within(str(path), image_set):
                raise UserError(f"{image_set.describe()}: its {_CARD} names {str(path)!r}, outside the dataset; correct it")


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
    require_inside(folder, files)
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
