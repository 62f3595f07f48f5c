"""The values of one column of JSON Lines, many at a time: as they are spelt, their kinds, and as an Arrow array."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from bucket_loader.model import bool_array, text_array

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
    Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]

NULL: Final = msgspec.Raw(b"null")
DIGITS_MAX: Final = 38  # of a decimal, in Arrow and in DuckDB
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_LINE_END, _QUOTE, _TRUE, _NOTHING, _MINUS, _POINT = b'\n"tn-.'
_KINDS: Final = {
    _QUOTE: "text",
    **dict.fromkeys(b"tf", "boolean"),
    **dict.fromkeys(b"-0123456789", "number"),
    **dict.fromkeys(b"{[", "nested"),
}


class Spelt:
    """Values of a column, one or more, each as it is spelt.

    Attributes:
        raws: the values, N of them; `null` where there is none.
        data: their bytes, one behind the other.
        offsets: N + 1 int64, where each begins and the last one ends.
        firsts: N bytes, the first of each.
    """

    def __init__(self, raws: Sequence[msgspec.Raw]) -> None:
        import numpy as np

        self.raws = raws
        self.data = b"".join(raws)
        # No value has a line end in it, since it stood in a line.
        ends = np.flatnonzero(np.frombuffer(b"\n".join(raws), np.uint8) == _LINE_END)
        self.offsets: Numbers = np.zeros(len(raws) + 1, np.int64)
        self.offsets[1:-1] = ends - np.arange(len(ends))
        self.offsets[-1] = len(self.data)
        self.firsts: Bytes = np.frombuffer(self.data, np.uint8)[self.offsets[:-1]]

    @cached_property
    def kinds(self) -> set[str]:
        """The kinds of its values, nulls left out."""
        import numpy as np

        return {_KINDS[first] for first in np.bincount(self.firsts).nonzero()[0].tolist() if first in _KINDS}

    def whole(self) -> bool:
        """Whether every number is whole and has 64 bits, where nothing else stands beside numbers."""
        try:
            msgspec.json.decode(b"[" + b",".join(self.raws) + b"]", type=list[_Int64 | None])
        except msgspec.ValidationError:
            return False
        return True

    def digits(self) -> tuple[int, int]:
        """Return the most digits before the point, and after it, where nothing else stands beside numbers."""
        import numpy as np

        if b"e" in self.data or b"E" in self.data:
            return self._scientific()
        signs = (self.firsts == _MINUS).astype(np.int64)
        lengths = np.where(self.firsts == _NOTHING, 0, np.diff(self.offsets) - signs)
        points = np.flatnonzero(np.frombuffer(self.data, np.uint8) == _POINT)
        places = np.searchsorted(self.offsets, points, "right") - 1
        after = self.offsets[places + 1] - points - 1
        lengths[places] -= after + 1
        return int(lengths.max()), int(after.max(initial=0))

    def _scientific(self) -> tuple[int, int]:
        before = after = 0
        for number in map(bytes, self.raws):
            try:
                _, digits, exponent = Decimal(number.decode() if number != b"null" else "0").as_tuple()
            except ArithmeticError:  # an exponent of twenty digits
                return DIGITS_MAX + 1, 0
            before, after = max(before, len(digits) + int(exponent)), max(after, -int(exponent))
        return before, after

    def array(self, kind: "pa.DataType") -> "pa.Array":
        """Return them in a type that holds them, given as they are spelt."""
        import pyarrow as pa

        if pa.types.is_boolean(kind):
            return self._valid(bool_array(self.firsts == _TRUE))
        if isinstance(kind, pa.JsonType):
            return pa.ExtensionArray.from_storage(kind, self._spelt())
        return self._texts() if pa.types.is_string(kind) else self._spelt().cast(kind)

    def _spelt(self) -> "pa.Array":
        return self._strings(self.data, self.offsets)

    def _texts(self) -> "pa.Array":
        import numpy as np

        if b"\\" in self.data:
            return text_array([_text(text) for text in map(bytes, self.raws)])
        # Without escapes quotes stand at both ends of a text and nowhere else.
        quotes = np.cumsum(2 * (self.firsts == _QUOTE))
        return self._strings(self.data.translate(None, b'"'), self.offsets - np.concatenate([[0], quotes]))

    def _strings(self, data: bytes, offsets: "Numbers") -> "pa.Array":
        import numpy as np
        import pyarrow as pa

        buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
        return self._valid(pa.Array.from_buffers(pa.string(), len(self.raws), buffers))

    def _valid(self, values: "pa.Array") -> "pa.Array":
        """Return values with nulls where there is none."""
        import numpy as np
        import pyarrow as pa

        there = self.firsts != _NOTHING
        if there.all():
            return values
        bitmap = pa.py_buffer(np.packbits(there, bitorder="little"))
        return pa.Array.from_buffers(values.type, len(values), [bitmap, *values.buffers()[1:]])


def _text(spelt: bytes) -> bytes | None:
    if spelt == b"null":
        return None
    return msgspec.json.decode(spelt, type=str).encode() if spelt.startswith(b'"') else spelt


class ChangedError(ValueError):
    """A value is of no kind that its column had when it was looked at."""


class Column:
    """What kinds of value a column has, the type that holds them all unchanged, and values in that type."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.small = True  # every number is whole and has 64 bits
        self.before = 1  # digits of its numbers, before and after the point
        self.after = 0

    def __add__(self, other: "Column") -> "Column":
        """Return what two looks at a column come to."""
        found = Column()
        found.kinds = self.kinds | other.kinds
        found.small = self.small and other.small
        found.before, found.after = max(self.before, other.before), max(self.after, other.after)
        return found

    def look(self, some: Spelt) -> None:
        """Take note of more values."""
        self.kinds |= some.kinds
        if self.kinds == {"number"}:  # beside other kinds, numbers are text
            self.small = self.small and some.whole()
            before, after = some.digits()
            self.before, self.after = max(self.before, before), max(self.after, after)

    @property
    def type(self) -> "pa.DataType":
        """The type that changes no value seen."""
        import pyarrow as pa

        if "nested" in self.kinds:
            return pa.json_(pa.string())
        if self.kinds == {"boolean"}:
            return pa.bool_()
        if self.kinds == {"number"} and self.small:
            return pa.int64()
        if self.kinds == {"number"} and self.before + self.after <= DIGITS_MAX:
            return pa.decimal128(self.before + self.after, self.after)
        return pa.string()

    def array(self, some: Spelt) -> "pa.Array":
        """Return values in the column's type.

        Raises:
            ChangedError: they are not those that were looked at.
        """
        if not some.kinds <= self.kinds and "nested" not in self.kinds:  # which holds any
            raise ChangedError
        return some.array(self.type)
