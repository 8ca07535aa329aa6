"""Links that lead out of the folder they lie in: with a stranger's folder, they would bring in files of one's own."""

from __future__ import annotations

import os
from pathlib import Path


def leads_out(path: Path | str, folder: Path | str) -> bool:
    """Whether `path`, found below `folder`, really lies elsewhere, by a link anywhere on the way or by `..`.

    The files of a snapshot in the hub's cache are links to the blobs beside it, which belong to it.
    """
    real, root = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    blobs = [commit.parent.parent / "blobs" for commit in (root, *root.parents) if commit.parent.name == "snapshots"]
    return not any(real.is_relative_to(place) for place in (root, *blobs))
