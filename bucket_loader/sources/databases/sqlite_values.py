"""SQLite's values as Arrow: a column at a time where all its values are plain, else value by value."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.sources.values.plain import plain_array

if TYPE_CHECKING:
    import pyarrow as pa

# A text comes as the bytes that the file has, in which Arrow looks for itself. A blob comes as `bytes`.
TEXT: Final = bytearray


# Beyond this a float rounds integers.
EXACT: Final = 2**53


def plain(values: Sequence[Any], kind: "pa.DataType") -> "pa.Array | None":
    """Return a column at once; None where one of its values needs a look of its own."""
    import pyarrow as pa

    own = {pa.string(): TEXT, pa.binary(): bytes, pa.int64(): int, pa.float64(): float}[kind]
    others = set(map(type, values)) - {own, type(None)}
    if kind == pa.string() and others <= {int, float}:
        # As many are made as there are numbers; the texts among them stay the bytes that they are.
        values = (
            [_spelt(value).encode() if isinstance(value, (int, float)) else value for value in values]
            if others
            else values
        )
    elif kind == pa.float64() and others == {int}:
        if any(abs(value) > EXACT for value in values if isinstance(value, int)):
            return None
    elif others:
        return None
    array = plain_array(values, kind)
    return None if array is not None and kind == pa.string() and _has_nul(array) else array


def decoded(values: Sequence[Any]) -> list[Any]:
    """Return the texts of a column as `str`; bytes in them that are not UTF-8 become visible, as surrogates."""
    return [str(value, "utf-8", "surrogateescape") if isinstance(value, TEXT) else value for value in values]


def converted(values: Sequence[Any], kind: "pa.DataType") -> "pa.Array":
    """Return a column value by value; in one of texts, numbers are spelt.

    Raises:
        pa.ArrowException: a value is not of this type.
        TypeError: the same.
    """
    import pyarrow as pa

    if kind == pa.string():
        values = [value if value is None or isinstance(value, str) else _spelt(value) for value in values]
    return pa.array(values, kind)


def _has_nul(array: "pa.Array") -> bool:
    return b"\0" in array.buffers()[2].to_pybytes()


def _spelt(value: float) -> str:
    """Spell a number as SQLite does; a real that its 15 digits do not hold, with all that it takes."""
    if isinstance(value, bytes):
        raise TypeError("a blob among texts")
    if isinstance(value, int):
        return str(value)
    digits, _, exponent = f"{value:.15g}".partition("e")
    text = digits if "." in digits or not digits.lstrip("-").isdigit() else f"{digits}.0"
    text = f"{text}e{exponent}" if exponent else text
    return text if float(text) == value else repr(value)
