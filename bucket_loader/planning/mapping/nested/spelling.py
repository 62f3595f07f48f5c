"""Nested values: JSON text, lists, structs and maps, flattened to dotted names (Bucket's values are flat).

Their names are known only row by row, so they are spelt here, in Python, once per nested column, and enter the SELECT
as finished text. `spell` gives each leaf the same form that `forms` gives it in SQL.
"""

import json
import math
import re
import struct
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar, Final, TypeVar

import pyarrow as pa

from bucket_loader.model import Code
from bucket_loader.planning.mapping.forms.numbers import DIGITS_MAX, INTEGER_MAX, TINY_MIN, WHOLE_MAX

DEPTH_MAX: Final = 32
EXPONENT_MAX: Final = 400  # of a number in JSON text: a double ends at 308, and 1e999999999 would fill the memory
YEAR_MIN: Final = 1000  # the same years as in `forms`
_FOR_EVER: Final = datetime(9999, 12, 31, tzinfo=UTC)  # the first moment that is not sent, as in `forms`
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ESCAPES: Final = str.maketrans(
    {
        **{chr(code): f"\\u{code:04X}" for code in range(0x20)},
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        '"': '\\"',
        "\\": "\\\\",
    }
)

_Date = TypeVar("_Date", bound=date)

Local = Callable[[datetime], datetime]
"""Moves a time without a zone to UTC."""


class NoFormError(ValueError):
    """A nested value has no form on the wire; the row is rejected, the run goes on."""

    code: ClassVar[Code] = "nested"


class Entries(list[tuple[Any, Any]]):
    """The entries of a map, which is no list of pairs."""


@dataclass(frozen=True)
class Flattened:
    """How a value is taken apart.

    Attributes:
        keep: whether a list is a leaf.
        local: moves a time without a zone to UTC.
        see: told the name and the length of each list that stands in no other.
    """

    keep: bool = False
    local: Local | None = None
    see: Callable[[str, int], None] = lambda _name, _length: None

    def leaves(self, name: str, value: object, depth: int = 0) -> Iterator[tuple[str, object]]:
        """Return the leaves of a value with their dotted names; an empty mapping has none, and no empty list item.

        Raises:
            NoFormError: it is nested deeper than `DEPTH_MAX`, or a key has no form.
        """
        if depth > DEPTH_MAX:
            raise NoFormError("is nested too deeply")
        if isinstance(value, (Mapping, Entries)):
            for key, child in value.items() if isinstance(value, Mapping) else value:
                yield from self.leaves(f"{name}.{key_text(key, self.local)}", child, depth + 1)
        elif isinstance(value, (list, tuple)):
            self.see(name, len(value))
            if self.keep:
                yield name, value
                return
            inner = Flattened(local=self.local)
            for index, child in enumerate(value):
                yield from inner.leaves(f"{name}.{index}", child, depth + 1)
        else:
            yield name, value


def key_text(key: object, local: Local | None) -> str:
    """Return a key as text."""
    return key if isinstance(key, str) else spell(key, local).strip('"')


def spell(value: object, local: Local | None = None) -> str:  # noqa: C901  # a table of types
    """Return a leaf's JSON text.

    Args:
        value: the leaf.
        local: moves a time without a zone to UTC; None where no zone is named.

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
            return _text(value)
        case datetime():
            return _datetime(value, local)
        case date():
            return f'"{_believable(value).isoformat()}"'
        case time():
            text = value.isoformat()
            return f'"{text.rstrip("0") if "." in text else text}"'
        case uuid.UUID():
            return f'"{value}"'
        case _:
            raise NoFormError(f"holds a {type(value).__name__}, which has no form on the wire")


def _text(value: str) -> str:
    """Return a text's JSON, escaped as DuckDB escapes."""
    if "\0" in value:
        raise NoFormError("holds a NUL character")
    if _SURROGATE.search(value):
        raise NoFormError("holds half a character (a lone surrogate)")
    return f'"{value.translate(_ESCAPES)}"'


def _float(value: float) -> str:
    if math.isnan(value):
        return "null"
    if math.isinf(value):
        raise NoFormError("is infinite, which JSON cannot say")
    if value.is_integer() and abs(value) < float(WHOLE_MAX):
        return spell(int(value))
    return repr(value)


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise NoFormError("is not a finite number")
    if value and abs(value.adjusted()) > EXPONENT_MAX:
        raise NoFormError("holds a number that is too large or too small")
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    text = "0" if text in {"-0", ""} else text
    if "." not in text:
        return spell(int(text))
    digits = len(text.replace(".", "").lstrip("-0"))
    certain = digits <= DIGITS_MAX and abs(value) >= Decimal(TINY_MIN)
    return repr(float(text)) if certain else f'"{text}"'


def _datetime(value: datetime, local: Local | None) -> str:
    if value.tzinfo is None and local is None:
        raise NoFormError("holds a time without a time zone")
    try:
        moment = _believable(local(value) if value.tzinfo is None and local is not None else value.astimezone(UTC))
    except OverflowError:
        raise NoFormError(f"holds a time whose year is not between {YEAR_MIN} and 9999") from None
    if moment >= _FOR_EVER:
        raise NoFormError(f"holds a time whose year is not between {YEAR_MIN} and 9998")
    return f'"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"'


def _believable(value: _Date) -> _Date:
    if value.year < YEAR_MIN:
        raise NoFormError(f"holds a time whose year is not between {YEAR_MIN} and 9999")
    return value


def has_local_times(kind: pa.DataType) -> bool:
    """Whether a nested type holds times without a zone."""
    if pa.types.is_timestamp(kind):
        return kind.tz is None
    return any(has_local_times(kind.field(index).type) for index in range(kind.num_fields))


def has_lists(kind: pa.DataType) -> bool:
    """Whether lists may stand in a type; JSON may hold some."""
    if isinstance(kind, pa.JsonType):
        return True
    if pa.types.is_map(kind):
        return has_lists(kind.item_type)
    if pa.types.is_struct(kind):
        return any(has_lists(kind.field(index).type) for index in range(kind.num_fields))
    return bool(pa.types.is_nested(kind))


def has_float_keys(kind: pa.DataType) -> bool:
    """Whether a type holds maps whose keys are floats of 32 bits."""
    if pa.types.is_map(kind) and pa.types.is_float32(kind.key_type):
        return True
    return any(has_float_keys(kind.field(index).type) for index in range(kind.num_fields))


def python_values(column: pa.Array) -> list[object]:
    """Return a nested column's values as Python ones; an `Exception` in the place of one that Python cannot hold."""
    try:
        values: list[object] = column.to_pylist()
    except (OverflowError, ValueError):
        values = [_python_value(scalar) for scalar in column]
    is_json = isinstance(column.type, pa.JsonType)
    return values if is_json or not _is_read_closely(column.type) else [_shortest(one, column.type) for one in values]


def _python_value(scalar: pa.Scalar) -> object:
    try:
        value: object = scalar.as_py()
    except (OverflowError, ValueError):
        return NoFormError("holds a time or date whose year is not between 1000 and 9999")
    return value


def _is_read_closely(kind: pa.DataType) -> bool:
    if pa.types.is_float16(kind) or pa.types.is_float32(kind) or pa.types.is_map(kind):
        return True
    return isinstance(kind, pa.JsonType) or any(
        _is_read_closely(kind.field(index).type) for index in range(kind.num_fields)
    )


def _shortest(value: Any, kind: pa.DataType) -> Any:  # noqa: ANN401  # a value of any type
    """Return a value by its type: floats with their shortest digits, not those of doubles; maps; JSON parsed."""
    if value is None or isinstance(value, Exception):
        return value
    if isinstance(kind, pa.JsonType):
        return parse(value)
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        return _shortest_float(value, "e" if pa.types.is_float16(kind) else "f")
    if pa.types.is_struct(kind):
        return {name: _shortest(child, kind.field(name).type) for name, child in value.items()}
    if pa.types.is_map(kind):
        return Entries((_shortest(key, kind.key_type), _shortest(child, kind.item_type)) for key, child in value)
    if pa.types.is_nested(kind) and kind.num_fields == 1:
        return [_shortest(child, kind.field(0).type) for child in value]
    return value


def _shortest_float(value: float, letter: str) -> float:
    if not math.isfinite(value) or (value.is_integer() and abs(value) < float(WHOLE_MAX)):
        return value
    packed = struct.pack(letter, value)
    for digits in range(1, 9):
        text = f"{value:.{digits}g}"
        try:
            if struct.pack(letter, float(text)) == packed:
                return float(text)
        except OverflowError:  # rounded up, out of the type's range
            continue
    return float(f"{value:.9g}")


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
