"""YAML that people write, read so that no text of theirs can do more than be wrong.

What comes out is what JSON can say: text keys, finite numbers, lists and mappings. A date stays the text it is.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import UserError
from pipeline.sentence import sentence

DEEPEST = 40
"""Levels of nesting."""
MOST = 100_000
"""Values, an alias counted as all that it stands for: a few lines of aliases of aliases can stand for billions."""


def read_yaml(path: Path) -> Any:
    """The one document of a file, None where it is empty. Raises UserError, naming the file, for any other content.

    A file that is not there raises FileNotFoundError: each reader knows best what to do about it.
    """
    try:
        return parse_yaml(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a file that you may read") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8; save it as UTF-8") from None
    except ValueError as error:
        raise UserError(f"{path} {error}") from None


def parse_yaml(text: str) -> Any:
    """The same of a text. Raises ValueError, which says on one line what is wrong and the remedy."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        _require_small(node)
        content = None if node is None else loader.construct_document(node)
    except (_TooLarge, RecursionError):
        raise ValueError(f"is nested deeper than {DEEPEST} levels or holds more than {MOST} values; write it plainly") from None
    except Exception as error:  # beside its own errors YAML lets through those of numbers and tags
        raise ValueError(f"is not valid YAML: {sentence(error)}; correct it") from None
    if fault := _fault(content):
        raise ValueError(sentence(f"holds what JSON cannot say: {fault}"))
    return content


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _TooLarge(Exception):
    pass


def _require_small(node: yaml.Node | None) -> None:
    found, waiting = 0, [(node, 1)]
    while waiting:
        node, depth = waiting.pop()
        found += 1
        if found > MOST or depth > DEEPEST:
            raise _TooLarge
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        waiting += [(child, depth + 1) for entry in children for child in (entry if isinstance(entry, tuple) else (entry,))]


def _fault(value: Any, key: str = "") -> str | None:
    """`key: what is wrong; the remedy` of the first value that JSON cannot say, if there is one."""
    if isinstance(value, dict):
        strange = next((name for name in value if not isinstance(name, str)), None)
        if strange is not None or None in value:
            return f"{key}: the key {strange!r} is no text; put it in quotes"
        faults = (_fault(item, f"{key}.{name}" if key else name) for name, item in value.items())
    elif isinstance(value, list):
        faults = (_fault(item, f"{key}.{number}") for number, item in enumerate(value))
    else:
        return _fault_of_one(value, key)
    return next((fault for fault in faults if fault), None)


def _fault_of_one(value: Any, key: str) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"{key}: {value} is no finite number; give one"
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        return f"{key}: {value!r} holds half a character; write it in UTF-8"
    if value is not None and not isinstance(value, str | int | float):
        return f"{key}: {value!r} is neither text nor a number; put it in quotes"
    return None
