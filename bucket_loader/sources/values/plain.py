"""Python values of one type as Arrow, a column at a time, from buffers: `pa.array` would import pandas for them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

_BYTES_MAX: Final = 2**31 - 1  # what the offsets of a text column can count


def plain_array(values: Sequence[Any], kind: "pa.DataType") -> "pa.Array | None":
    """Return integers, floats, or texts and blobs given as their bytes, each of them or None, as a column.

    Returns:
        None where a text is not valid UTF-8, or there are more bytes than a column can hold.
    """
    import numpy as np
    import pyarrow as pa

    bitmap = None
    if None in values:
        valid = np.array([value is not None for value in values])
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
        nothing: Any = b"" if kind in {pa.string(), pa.binary()} else 0
        values = [nothing if value is None else value for value in values]
    if pa.types.is_primitive(kind):
        numbers = np.array(values, kind.to_pandas_dtype())
        return pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(numbers)])
    return _of_bytes(values, kind, bitmap)


def _of_bytes(values: Sequence[Any], kind: "pa.DataType", bitmap: "pa.Buffer | None") -> "pa.Array | None":
    import numpy as np
    import pyarrow as pa

    data = b"".join(values)
    if len(data) > _BYTES_MAX:
        return None
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=offsets[1:])
    array = pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(offsets), pa.py_buffer(data)])
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return array
