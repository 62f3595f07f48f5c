"""Texts brought to types without changing a value: a row whose value does not fit is rejected, with its reason."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bucket_loader.model import InputBatch, Origin, Reason, Rejection, int64_array
from bucket_loader.sources.base import slices
from bucket_loader.sources.values.texts import shown

if TYPE_CHECKING:
    import pyarrow as pa

Refused = dict[int, list[Reason]]
"""Rows of a batch that cannot be given, by their place in it."""

# Significant digits that the widest decimal holds which all that comes after can compute with.
DECIMAL_DIGITS_MAX = 38


def asked(refused: Refused, is_used: Callable[[str], bool]) -> Refused:
    """Return the rows that cannot be given for a column that somebody asks for; in the others the bad value is null."""
    found = {
        place: [reason for reason in reasons if reason.field is None or is_used(reason.field)]
        for place, reasons in refused.items()
    }
    return {place: reasons for place, reasons in found.items() if reasons}


def decimal_type(digits: int, scale: int) -> "pa.DataType":
    """Return the type of a decimal: exact, or its digits as JSON has them where no decimal type is wide enough."""
    import pyarrow as pa

    digits = max(digits, scale, 1)
    return pa.decimal128(digits, scale) if digits <= DECIMAL_DIGITS_MAX else pa.json_()


def typed(texts: "pa.Array", kind: "pa.DataType") -> "tuple[pa.Array, list[int]]":
    """Read texts as a type; beside the values, the places of those that are none, which are null."""
    import pyarrow as pa

    if isinstance(kind, pa.JsonType):
        return pa.ExtensionArray.from_storage(kind, texts), []
    try:
        return texts.cast(kind), []
    except pa.ArrowInvalid:
        bad = [place for place in range(len(texts)) if not _fits(texts.slice(place, 1), kind)]
    return without(texts, bad).cast(kind), bad


def without(column: "pa.Array", places: Sequence[int]) -> "pa.Array":
    """Make some values null."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not places:
        return column
    mask = np.zeros(len(column), dtype=bool)
    mask[list(places)] = True
    return pc.replace_with_mask(column, pa.array(mask), pa.scalar(None, column.type))


def _fits(one: "pa.Array", kind: "pa.DataType") -> bool:
    import pyarrow as pa

    try:
        one.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def given(
    batch: "pa.RecordBatch", first: int, origin: str, refused: Refused, raw: "Mapping[str, pa.Array]"
) -> Iterator[InputBatch]:
    """Cut a batch to size, without the rows that are refused; those come as rejections, once.

    Args:
        batch: the rows, also the refused ones.
        first: the number of its first row.
        origin: the name of the source.
        refused: the rows to leave out.
        raw: the columns to show of a rejected row, as they were read.
    """
    import numpy as np

    places = np.arange(batch.num_rows, dtype=np.int64)
    unread = [_rejection(place, first, origin, reasons, raw) for place, reasons in sorted(refused.items())]
    if refused:
        places = np.delete(places, sorted(refused))
        batch = batch.take(int64_array(places))
    if batch.num_rows == 0:
        yield InputBatch(batch, int64_array(places), origin, unread)
    for start, piece in slices(batch):
        numbers = int64_array(places[start : start + piece.num_rows] + first)
        yield InputBatch(piece, numbers, origin, unread if start == 0 else ())


def _rejection(place: int, first: int, origin: str, reasons: list[Reason], raw: "Mapping[str, pa.Array]") -> Rejection:
    row = {name: _value(column, place) for name, column in raw.items()}
    return Rejection("read", Origin(origin, first + place), tuple(reasons), shown(row))


def _value(column: "pa.Array", place: int) -> object:
    try:
        return column[place].as_py()
    except (OverflowError, ValueError):
        return "(cannot be shown)"
