"""Who made it: fingerprints of model folders and the library versions that can change a result."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def folder_fingerprint(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's files: what `revision` means for a local model."""
    return files_fingerprint({path.relative_to(folder).as_posix(): file_sha256(path) for path in folder.rglob("*") if path.is_file()})


def files_fingerprint(hashes: dict[str, str]) -> str:
    """SHA-256 over {name, with forward slashes: SHA-256 of the file}, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(hashes):
        total.update(name.encode() + b"\0" + bytes.fromhex(hashes[name]))
    return total.hexdigest()


def file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Installed versions, for the keys of items that depend on them."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
