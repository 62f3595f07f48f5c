"""Nested values: JSON text, lists, structs and maps, flattened to dotted names (Bucket's values are flat).

Their names are known only row by row, so they are spelt here, in Python, once per nested column, and enter the SELECT
as finished text. `spell` gives each leaf the same form that `forms` gives it in SQL.
"""

import base64
import json
import math
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from bucket_loader.mapping.forms import DIGITS_MAX, INTEGER_MAX

DEPTH_MAX: Final = 32
LEAVES_MAX: Final = 1_000


class NoFormError(ValueError):
    """A nested value has no form on the wire; the row is rejected, the run goes on."""


def flatten(name: str, value: object, depth: int = 0) -> Iterator[tuple[str, object]]:
    """Give the leaves of a value with their dotted names; an empty list or mapping has none.

    Raises:
        NoFormError: it is nested deeper than `DEPTH_MAX`.
    """
    if depth > DEPTH_MAX:
        raise NoFormError("is nested too deeply")
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from flatten(f"{name}.{_key(key)}", child, depth + 1)
    elif isinstance(value, (list, tuple)):
        pairs = _map_entries(value)
        for key, child in pairs if pairs is not None else enumerate(value):
            yield from flatten(f"{name}.{_key(key)}", child, depth + 1)
    else:
        yield name, value


def _map_entries(value: list[Any] | tuple[Any, ...]) -> list[tuple[Any, Any]] | None:
    """Give a map's entries: Arrow hands a map over as a list of pairs, a list column never holds tuples."""
    return list(value) if value and all(isinstance(item, tuple) and len(item) == 2 for item in value) else None  # noqa: PLR2004


def _key(key: object) -> str:
    return key if isinstance(key, str) else spell(key).strip('"')


def spell(value: object) -> str:  # noqa: C901, PLR0912  # a table of types
    """Give a leaf's JSON text.

    Raises:
        NoFormError: the value has none.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if abs(value) <= INTEGER_MAX else f'"{value}"'
        case float():
            return _float(value)
        case Decimal():
            return _decimal(value)
        case str():
            if "\0" in value:
                raise NoFormError("holds a NUL character")
            return json.dumps(value, ensure_ascii=False)
        case datetime():
            return _datetime(value)
        case date():
            return f'"{value.isoformat()}"'
        case time():
            return f'"{value.isoformat()}"'
        case uuid.UUID():
            return f'"{value}"'
        case bytes():
            return f'"{base64.b64encode(value).decode()}"'
        case _:
            raise NoFormError(f"holds a {type(value).__name__}, which has no form on the wire")


def _float(value: float) -> str:
    if math.isnan(value):
        return "null"
    if math.isinf(value):
        raise NoFormError("is infinite, which JSON cannot say")
    if value.is_integer() and abs(value) < 1e37:  # noqa: PLR2004  # where DuckDB's HUGEINT ends
        return spell(int(value))
    return repr(value)


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise NoFormError("is not a finite number")
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    text = "0" if text in {"-0", ""} else text
    if "." not in text:
        return spell(int(text))
    digits = len(text.replace(".", "").lstrip("-0"))
    return text if digits <= DIGITS_MAX else f'"{text}"'


def _datetime(value: datetime) -> str:
    if value.tzinfo is None:
        raise NoFormError("holds a time without a time zone")
    return f'"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"'


def parse(text: str) -> object:
    """Parse JSON text, numbers exactly.

    Raises:
        NoFormError: it is no JSON.
    """
    try:
        parsed: object = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NoFormError("is not JSON") from None
    return parsed


def _refuse(word: str) -> object:
    raise ValueError(word)


def fragment(name: str, value: object, taken: frozenset[str], *, send_nulls: bool) -> str:
    """Spell a nested value as members of a JSON object, each after a comma.

    Args:
        name: the attribute's name, before the dots.
        value: the nested value.
        taken: names that other fields have; those win.
        send_nulls: whether a null leaf is spelt or left out.

    Raises:
        NoFormError: a leaf has no form, or there are too many.
    """
    members: dict[str, str] = {}
    for dotted, leaf in flatten(name, value):
        if dotted in taken:
            continue
        spelt = spell(leaf)
        if spelt != "null" or send_nulls:
            members[dotted] = spelt
        if len(members) > LEAVES_MAX:
            raise NoFormError(f"has more than {LEAVES_MAX} values")
    return "".join(f",{json.dumps(dotted, ensure_ascii=False)}:{members[dotted]}" for dotted in sorted(members))
