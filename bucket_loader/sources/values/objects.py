"""A column of Python objects as Arrow: of one kind as that type, of several in the forms that JSON Lines have.

Arrow alone would round some values, mix others, and refuse a column for one of them.
"""

import json
import numbers
import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bucket_loader.model import Reason
from bucket_loader.sources.values.scalars import InfiniteError, is_null, python_value
from bucket_loader.sources.values.texts import problem

if TYPE_CHECKING:
    import pyarrow as pa

Reasons = dict[int, list[Reason]]
"""What is wrong with rows, by their numbers from 1."""

_EXACT: Final = 2**53  # beyond it a float rounds integers
_BIG: Final = "big integer"
_NUMBERS: Final = frozenset({int, float, Decimal, _BIG})
_NESTED: Final = frozenset({dict, list})  # and numpy's arrays


class Converted(NamedTuple):
    """A column, and whether some of its values had another form in earlier versions."""

    array: "pa.Array | pa.ChunkedArray"
    is_reformed: bool = False


def converted(name: str, objects: Sequence[Any], reasons: Reasons) -> Converted:
    """Convert a column of objects; a value that cannot be sent is null, with its reason."""
    import numpy as np
    import pyarrow as pa

    values = [_value(name, ordinal, value, reasons) for ordinal, value in enumerate(objects, start=1)]
    kinds = {_kind(value) for value in values if value is not None}
    if len(kinds) > 1 or _BIG in kinds:
        return _numbers(name, values, kinds, reasons) if kinds <= _NUMBERS else _texts(name, values, reasons)
    try:
        return Converted(pa.array(_alike(values)))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        if kinds == {Decimal}:  # of more digits than any decimal has
            return _texts(name, values, reasons)
        if kinds <= {*_NESTED, np.ndarray}:
            return Converted(_json(values))
        raise


def _value(name: str, ordinal: int, value: object, reasons: Reasons) -> object:
    try:
        found = python_value(value)
    except InfiniteError:
        reason = _infinity(name)
    except (OverflowError, ValueError):  # of numpy's times
        reason = Reason("range", "the value is a time or a span too far away, or of no certain length", name)
    else:
        wrong = problem(found, name)
        if wrong is None:
            return None if is_null(found) else found
        reason = wrong
    reasons.setdefault(ordinal, []).append(reason)
    return None


def _infinity(name: str) -> Reason:
    return Reason("infinity", "the value is infinite, which JSON cannot say", name)


def _kind(value: object) -> object:
    """Return what a column must have one of: a type; for times also whether they have a zone."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int if -(2**63) <= int(value) < 2**63 else _BIG
    return (datetime, value.tzinfo is None) if isinstance(value, datetime) else type(value)


def _alike(values: list[Any]) -> list[Any]:
    """Make all times pandas' when one has nanoseconds, which Python's have not: Arrow would cut it to the first's."""
    import pandas as pd

    if not any(getattr(value, "nanosecond", 0) for value in values):
        return values
    return [value if value is None else pd.Timestamp(value) for value in values]


def _numbers(name: str, values: list[Any], kinds: set[object], reasons: Reasons) -> Converted:
    """Convert numbers of several kinds: as floats where none rounds, else as decimals, as JSON Lines has them."""
    import pyarrow as pa

    if kinds == {int, float} and all(abs(value) <= _EXACT for value in values if isinstance(value, int)):
        return Converted(pa.array(values, pa.float64()))
    values = _without_infinities(name, values, reasons)
    try:
        array = pa.array([None if value is None else _decimal(value) for value in values])
    except pa.ArrowInvalid:
        return _texts(name, values, reasons)
    if not pa.types.is_decimal128(array.type):
        return _texts(name, values, reasons)
    # A whole number beyond what a float holds is sent as text, as it was.
    return Converted(array, any(value is not None and not _is_beyond(value) for value in values))


def _decimal(value: Any) -> Decimal:  # noqa: ANN401  # a number of any type
    return value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else int(value))


def _is_beyond(value: object) -> bool:
    return isinstance(value, numbers.Integral) and abs(int(value)) > _EXACT


def _without_infinities(name: str, values: list[Any], reasons: Reasons) -> list[Any]:
    found = list(values)
    for place, value in enumerate(values):
        if isinstance(value, float) and abs(value) == float("inf"):
            reasons.setdefault(place + 1, []).append(_infinity(name))
            found[place] = None
    return found


def _texts(name: str, values: list[Any], reasons: Reasons) -> Converted:
    import pyarrow as pa

    texts: list[str | None] = []
    for ordinal, value in enumerate(_without_infinities(name, values, reasons), start=1):
        if isinstance(value, (bool, float)):  # as JSON Lines spells them
            texts.append(json.dumps(value))
        elif value is None or isinstance(value, (str, numbers.Integral, Decimal, uuid.UUID)):
            texts.append(None if value is None else str(value))
        else:
            message = f"the column has values of several types, and a {type(value).__name__} has no certain text"
            reasons.setdefault(ordinal, []).append(Reason("type", message, name))
            texts.append(None)
    return Converted(pa.array(texts, pa.string()), any(isinstance(value, bool) for value in values))


def _json(values: list[Any]) -> "pa.Array":
    """Spell nested values as JSON, where what stands inside them has several kinds, as JSON Lines may."""
    import pyarrow as pa

    texts = [None if value is None else _spelt(value) for value in values]
    return pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(texts, pa.string()))


def _spelt(value: object) -> str:
    """Spell a value as JSON, with all digits.

    Raises:
        TypeError: JSON has no word for it.
    """
    import numpy as np

    if isinstance(value, np.ndarray):
        return _spelt([python_value(child) for child in value])
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return "{" + ", ".join(f"{json.dumps(key)}: {_spelt(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_spelt, value)) + "]"
    if isinstance(value, Decimal):
        return str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return json.dumps(value)
    raise TypeError(type(value).__name__)
