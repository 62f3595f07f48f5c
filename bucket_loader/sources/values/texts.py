"""Texts from Python values, and which of them no JSON could carry."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from bucket_loader.model import Reason

# Characters of a value that are kept for the dead letters.
SHOWN_MAX: Final = 2000

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def problem(value: object, column: str) -> Reason | None:
    """Say why a text cannot be sent as it is; None when it can."""
    if not isinstance(value, str):
        return None
    if "\0" in value:
        return Reason("nul", "the value has a NUL character in it", column)
    if not value.isascii() and _SURROGATE.search(value):
        return Reason("encoding", "the value is not valid Unicode", column)
    return None


def all_sound(values: Iterable[object]) -> bool:
    """Whether `problem` would find nothing in a whole column: one look at all of it."""
    text = "".join([value for value in values if isinstance(value, str)])
    return "\0" not in text and (text.isascii() or not _SURROGATE.search(text))


def shown(row: Mapping[str, object]) -> dict[str, str | None]:
    """Return a row's values in a form for the dead letters, whatever they are."""
    return {name: None if value is None else _shown(value) for name, value in row.items()}


def _shown(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text[:SHOWN_MAX].encode("utf-8", "backslashreplace").decode()
