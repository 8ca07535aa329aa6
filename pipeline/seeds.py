"""Seeds and keys: hashes of what determines a thing, so that neither order nor process count enters."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(*parts: Any) -> str:
    """SHA-256 (64 hex digits) of the parts; equal values give equal digests whatever their key order."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def seed_of(*parts: Any) -> int:
    """A seed in [0, 2^63) from the parts, for example (base seed, generator, image_id)."""
    return int(digest(*parts)[:16], 16) >> 1
