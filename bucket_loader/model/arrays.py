"""Arrow arrays without pandas, and Arrow's memory.

`pa.array`, `pa.scalar` and `to_numpy` import pandas to look at what they are given: a third of a second and 50 MB that
most runs have no use for. What every run makes is made here, from buffers.
"""

import contextlib
import ctypes
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa

    Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
    Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]

_OFFSET_MAX: Final = 2**31 - 1


def int64_array(numbers: "Numbers") -> "pa.Int64Array":
    """Return numpy's numbers to Arrow as they are."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def ordinals_from(first: int, count: int) -> "pa.Int64Array":
    """Number `count` rows from `first` on."""
    import numpy as np

    return int64_array(np.arange(first, first + count, dtype=np.int64))


def zeros(kind: "pa.DataType", count: int) -> "pa.Array[Any]":
    """Return `count` zeros of a whole number's type."""
    import pyarrow as pa

    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(bytes(count * kind.byte_width))])


def repeated_text(text: str | None, count: int) -> "pa.StringArray":
    """Return one text, or null, for every row."""
    import numpy as np
    import pyarrow as pa

    if text is None:
        return pa.nulls(count, pa.string())
    data = text.encode()
    offsets = np.arange(count + 1, dtype=np.int32) * len(data)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data * count))


def text_array(texts: "Sequence[Any]", kind: "pa.DataType | None" = None) -> "pa.Array[Any]":
    """Return texts, each as its UTF-8 or None, to Arrow; or blobs, where that is the type.

    Raises:
        OverflowError: they are more than 2 GiB together.
    """
    import numpy as np
    import pyarrow as pa

    bitmap, there = _validity(texts, b"")
    offsets = np.zeros(len(there) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, there), np.int64, len(there)), out=offsets[1:])
    if offsets[-1] > _OFFSET_MAX:
        raise OverflowError("these texts are too long for one array")
    buffers = [bitmap, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(there))]
    return pa.Array.from_buffers(kind or pa.string(), len(there), buffers)


def hash_array(hashes: "Sequence[bytes]", kind: "pa.FixedSizeBinaryType") -> "pa.FixedSizeBinaryArray":
    """Return blobs that all have the length of their type to Arrow."""
    import pyarrow as pa

    return pa.FixedSizeBinaryArray.from_buffers(kind, len(hashes), [None, pa.py_buffer(b"".join(hashes))])


def number_array(numbers: "Sequence[Any]", kind: "pa.DataType") -> "pa.Array[Any]":
    """Return numbers, or None, to Arrow, as a type that holds them."""
    import numpy as np
    import pyarrow as pa

    bitmap, there = _validity(numbers, 0)
    return pa.Array.from_buffers(kind, len(there), [bitmap, pa.py_buffer(np.array(there, kind.to_pandas_dtype()))])


def _validity(values: "Sequence[Any]", nothing: object) -> "tuple[pa.Buffer | None, Sequence[Any]]":
    """Return Arrow's bits of what is not None, or None when all is there; and the values, with another for None."""
    import numpy as np
    import pyarrow as pa

    if None not in values:
        return None, values
    valid = np.array([value is not None for value in values], np.bool_)
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return bitmap, [nothing if value is None else value for value in values]


def bool_array(truths: "Bools") -> "pa.BooleanArray":
    """Return numpy's truth values to Arrow."""
    import numpy as np
    import pyarrow as pa

    return pa.Array.from_buffers(pa.bool_(), len(truths), [None, pa.py_buffer(np.packbits(truths, bitorder="little"))])


def as_numpy(numbers: "pa.Int64Array") -> "Numbers":
    """Return Arrow's int64, none of them null, to numpy as they are."""
    import numpy as np

    return np.frombuffer(numbers.buffers()[1], np.int64)[numbers.offset :][: len(numbers)]


def give_memory_back() -> None:
    """Return what one step has freed to the system, before the next step's heaps grow beside it."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
