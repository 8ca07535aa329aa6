"""What a publication is: the files the card names, the card, and `publication.json`, which lists them with their hashes.

The record makes a folder or a repository recognisable as a former publication, which may be replaced, and lets a receiver
check that a download is complete. A publication without photographs keeps their rows whole but for a null `image`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AfterValidator, ValidationError

from pipeline.damage import reading
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.photographs.splits import SPLITS
from pipeline.records import WRITING, read_shard, read_table
from pipeline.schema import Strict
from pipeline.yamlfile import parse_yaml

CARD = "README.md"
RECORD = "publication.json"
LEFT_OUT = "<!-- photographs left out -->"
"""In a card without photographs, where what publishing added begins; before it is the dataset's own card, unchanged."""
FROM_PIXELS = ("image-to-image", "reconstruction")
"""Modes whose counterparts resemble the photograph itself and not only its caption."""
_SHARD = re.compile(rf"[a-z0-9][a-z0-9-]*/({'|'.join(SPLITS)})-[0-9]{{5}}\.parquet")


def _shard_name(value: str) -> str:
    if not _SHARD.fullmatch(value):
        raise ValueError(f"{value!r} is not <source>/<split>-<number>.parquet")
    return value


class Record(Strict):
    """publication.json, checked as a stranger's: its names become paths."""

    kind: Literal["synthclic publication"] = "synthclic publication"
    version: Literal[1] = 1
    without_photographs: bool
    files: dict[Annotated[str, AfterValidator(_shard_name)], str]
    """Path below the publication: SHA-256 of the file."""

    def text(self) -> str:
        return json.dumps(self.model_dump(), indent=2) + "\n"


def read_record(folder: Path) -> Record | None:
    """The record of the publication in `folder`, or None where there is no valid one."""
    try:
        return Record.model_validate_json((folder / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValidationError):
        return None


def card_files(dataset: Path) -> tuple[str, list[str]]:
    """The dataset's name and every file its card names, in order. Raises UserError where card or a file is missing."""
    try:
        _, head, _ = (dataset / CARD).read_text(encoding="utf-8").split("---\n", 2)
        head = parse_yaml(head)
        everything = next(config for config in head["configs"] if config.get("default"))
        files = [_shard_name(path) for split in everything["data_files"] for path in split["path"]]
        name = str(head["pretty_name"])
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise UserError(f"{dataset}: holds no {CARD}, so it is not a dataset; run dvc repro first") from None
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        raise UserError(f"{dataset / CARD} does not name its files as our card does; run dvc repro to write it again") from None
    for path in files:
        if not (dataset / path).is_file():
            raise UserError(f"{dataset / CARD} names {path}, which is missing; run dvc repro first")
    return name, files


def is_photographs(path: str) -> bool:
    return path.startswith(f"{PHOTOGRAPHS}/")


def strip_images(source: Path, target: Path) -> None:
    """Copy a shard with every image null, a row group at a time; no picture is read."""
    with reading(source), pq.ParquetFile(source, page_checksum_verification=True) as file:
        schema = file.schema_arrow
        if "pixels_sha256" not in schema.names:
            raise UserError(f"{source} has no column pixels_sha256, which a receiver needs; run dvc repro to package it again")
        kept = [name for name in schema.names if name != "image"]
        with shard_writer(target, schema) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=kept)
                images = pa.nulls(table.num_rows, schema.field("image").type)
                table = table.append_column(schema.field("image"), images).select(schema.names)
                writer.write_table(table.cast(schema))


def shard_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Writes row groups one by one, with the options of `records.write_table`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(path, schema, **WRITING)


def card_without_photographs(dataset: Path, files: list[str]) -> str:
    """The dataset's card, and below it what was left out, why, and how a receiver puts it back."""
    photographs = [path for path in files if is_photographs(path)]
    fits = [fit for path in photographs for fit in read_table(dataset / path, columns=["fit"])["fit"].to_pylist()]
    modes = _modes(dataset, files)
    derived = [f"`{source}` ({mode})" for source, mode in modes.items() if mode in FROM_PIXELS]
    from_text = [f"`{source}`" for source, mode in modes.items() if mode == "text-to-image"]
    elsewhere = [f"`{source}`" for source, mode in modes.items() if mode == "import"]
    derivation = ""
    if derived:
        derivation += f"Made from the photographs' pixels, and resembling them: {', '.join(derived)}.\n"
    if from_text:
        derivation += f"Made from the captions alone: {', '.join(from_text)}.\n"
    if elsewhere:
        derivation += f"Made elsewhere and imported: {', '.join(elsewhere)}.\n"
    return f"""{(dataset / CARD).read_text(encoding="utf-8")}
{LEFT_OUT}
## The photographs are left out

The pixels of the {len(fits)} photographs are not in this publication: not every photograph comes with a licence to pass it on
(part of CLIC states none). Their rows are complete but for `image`, which is null. Ids, groups, splits, captions and sizes
are here, and two hashes: `sha256` of the PNG file, and `pixels_sha256` of the pixels (width and height in ASCII as
`<width>x<height>`, a newline, then the rows of 8-bit RGB), which does not depend on the PNG encoder.

{derivation}
Whoever has the photographs puts them back. In the folder of the profile's `params.yaml`, with `photographs.source` pointing
at your own download and photographs fitted as here ({"; ".join(sorted(set(fits)))}):

    dvc repro photographs
    synthclic restore <this folder> data/photographs <new folder>

Every picture is verified by its hash; the new folder is the dataset as it was, row by row.
"""


def original_card(publication: Path) -> str:
    """The card as it was before publishing without photographs added to it."""
    text = (publication / CARD).read_text(encoding="utf-8")
    return text.partition(f"\n{LEFT_OUT}\n")[0]


def _modes(dataset: Path, files: list[str]) -> dict[str, str]:
    """The mode of every generator, from the first row of its first file."""
    modes: dict[str, str] = {}
    for path in files:
        source = path.partition("/")[0]
        if source != PHOTOGRAPHS and source not in modes:
            modes[source] = next(read_shard(dataset / path, columns=["mode"]))["mode"]
    return modes
