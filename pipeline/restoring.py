"""`synthclic restore`: a publication without photographs, made whole with the receiver's own photographs.

The receiver has built `data/photographs` from their own originals. Every picture is found by its id and verified: by the
hash of its PNG bytes, or, where another zlib encoded it, by the hash of its pixels.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dataset import pixels_sha256
from pipeline.errors import UserError
from pipeline.files import replacing_folder, write_bytes
from pipeline.fingerprints import file_sha256
from pipeline.images import decode_png, sha256
from pipeline.links import leads_out
from pipeline.progress import track
from pipeline.publication import CARD, Record, is_photographs, original_card, read_record, shard_writer
from pipeline.records import RowReader

SHOWN = 3


def restore(publication: Path, photographs: Path, target: Path) -> dict[str, int]:
    """Write the dataset that `publication` was made from to `target`, a new or empty folder.

    Returns counts: `photographs` put back, and how many of them are `reencoded`: the same pixels in other PNG bytes, whose
    row then carries the hash of the new bytes. A few row groups of pictures are in memory at a time. Raises UserError, with
    nothing written, where the publication is damaged or a photograph is absent or another one.
    """
    record = _sound(publication)
    target = target.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists and is not empty; give a new folder")
    if target.is_relative_to(publication.resolve()) or target.is_relative_to(photographs.resolve()):
        raise UserError(f"{target} lies inside what it is made from; give a folder outside")
    own = RowReader(photographs, "photographs", ["image", "fit"])
    if not own:
        raise UserError(f"{photographs} holds no photographs-*.parquet; build it with dvc repro photographs")
    report = _Report()
    with replacing_folder(target) as folder:
        for path in track(list(filter(is_photographs, record.files)), "restoring", unit="file"):
            _fill(publication / path, folder / path, own, report)
        if report.absent or report.different:
            raise UserError(report.sentence(photographs))
        for path in track([path for path in record.files if not is_photographs(path)], "copying", unit="file"):
            (folder / path).parent.mkdir(exist_ok=True)
            shutil.copyfile(publication / path, folder / path)
        write_bytes(folder / CARD, original_card(publication).encode())
    return {"photographs": report.photographs, "reencoded": report.reencoded}


def _sound(publication: Path) -> Record:
    record = read_record(publication)
    if record is None:
        raise UserError(f"{publication} is not a publication of synthclic (no valid publication.json); give the downloaded folder")
    if not record.without_photographs:
        raise UserError(f"{publication} was published with its photographs; use it as it is")
    for path in (CARD, *record.files):
        if leads_out(publication / path, publication):
            raise UserError(f"{publication}: {path} is a link that leads out of it; download the publication again")
    if not (publication / CARD).is_file():
        raise UserError(f"{publication}: {CARD} is missing; download the publication again")
    for path, expected in track(record.files.items(), "checking", unit="file"):
        if not (publication / path).is_file() or file_sha256(publication / path) != expected:
            raise UserError(f"{publication}: {path} is missing or damaged; download the publication again")
    return record


@dataclass
class _Report:
    photographs: int = 0
    reencoded: int = 0
    absent: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    fits: set[tuple[str, str]] = field(default_factory=set)  # of differing photographs: the receiver's, the publication's

    def sentence(self, folder: Path) -> str:
        faults = [
            f"{len(ids)} {what} (first: {', '.join(ids[:SHOWN])})"
            for ids, what in ((self.absent, "absent"), (self.different, "with other pixels"))
            if ids
        ]
        remedy = "build it from the complete originals this dataset was made from, with photographs.limit null"
        if other := sorted((own, published) for own, published in self.fits if own != published):
            remedy = f"they are fitted by '{other[0][0]}' and the publication's by '{other[0][1]}', so change fit and build it again"
        count = len(self.absent) + len(self.different)
        return f"{folder}: {count} of {self.photographs + count} photographs cannot be put back, {' and '.join(faults)}; {remedy}"


def _fill(source: Path, target: Path, own: RowReader, report: _Report) -> None:
    with pq.ParquetFile(source, page_checksum_verification=True) as file, shard_writer(target, file.schema_arrow) as writer:
        schema = file.schema_arrow
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            rows = table.select(["image_id", "sha256", "pixels_sha256", "fit"]).to_pylist()
            images = [_verified(row, own.get(row["image_id"]), report) for row in rows]
            columns = {"image": images, "sha256": [row["sha256"] for row in rows]}
            for name, values in columns.items():
                field = schema.field(name)
                table = table.set_column(schema.get_field_index(name), field, pa.array(values, field.type))
            writer.write_table(table.cast(schema))


def _verified(row: dict, own: dict | None, report: _Report) -> dict | None:
    """The image to put into `row`; None where it is absent or another one, which the report then knows."""
    if own is None:
        report.absent.append(row["image_id"])
        return None
    data = own["image"]["bytes"]
    digest = sha256(data)
    if digest != row["sha256"]:
        if not _same_pixels(data, row["pixels_sha256"]):
            report.different.append(row["image_id"])
            report.fits.add((own["fit"], row["fit"]))
            return None
        report.reencoded += 1
        row["sha256"] = digest
    report.photographs += 1
    return own["image"]


def _same_pixels(data: bytes, expected: str) -> bool:
    try:
        return pixels_sha256(decode_png(data)) == expected
    except (OSError, SyntaxError, ValueError):  # Pillow's for what does not decode, and so is not the picture
        return False
