"""Edits whose truth about a picture is known because we made them: by name, as a vocabulary's `edit` column gives them."""

from __future__ import annotations

from pipeline.known_edits import colour, layout, lens, recording, tone, weather
from pipeline.known_edits.edit import Edit

EDITS: dict[str, Edit] = {}
for _module in (tone, colour, lens, recording, layout, weather):
    assert not EDITS.keys() & _module.EDITS.keys()
    EDITS |= _module.EDITS
