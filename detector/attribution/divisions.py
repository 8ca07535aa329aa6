"""Dividing the generators into known and unknown ones, several times, after the five divisions of Cioni et al. 2024.

Theirs have four known and four unknown generators each; here all are known that are not unknown, tested or for validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from pipeline.dataset import PHOTOGRAPHS


@dataclass(frozen=True)
class Division:
    """Which sources are classes, and which generators are none.

    `known` begins with the photographs. `validation_unknown` plays the unknown generator where block, C and k are chosen;
    `unknown` are the ones tested, among which it never is: the published code chooses by the very generators it tests.
    """

    name: str
    known: tuple[str, ...]
    validation_unknown: str
    unknown: tuple[str, ...]


def divisions(generators: list[str], unknown: int, count: int) -> list[Division]:
    """At most `count` rotations of the generators, in their order: `unknown` that are tested, one for validation, the rest known.

    Neighbours in the parameters are unknown together, and each generator is about as often as any other. There are as
    many rotations as generators; with fewer than three generators there is none. Where so many unknown ones would leave none
    known, as many are unknown as leave one.
    """
    total = len(generators)
    if total < 3:
        return []
    unknown = min(unknown, total - 2)
    again = gcd(total, unknown)  # so many rounds, each of which begins anew one place further, meet every rotation once
    starts = [(first + place * unknown) % total for first in range(again) for place in range(total // again)]
    found = []
    for number, start in enumerate(starts[:count], 1):
        turned = generators[start:] + generators[:start]
        known = set(turned[unknown + 1 :])
        found.append(
            Division(
                f"division-{number}",
                (PHOTOGRAPHS, *(name for name in generators if name in known)),
                turned[unknown],
                tuple(turned[:unknown]),
            )
        )
    return found
