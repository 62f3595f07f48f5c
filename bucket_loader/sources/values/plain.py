"""Python values of one type as Arrow, a column at a time, without a look at each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bucket_loader.model import number_array, text_array

if TYPE_CHECKING:
    import pyarrow as pa


def plain_array(values: Sequence[Any], kind: "pa.DataType") -> "pa.Array | None":
    """Return integers, floats, or texts and blobs given as their bytes, each of them or None, as a column.

    Returns:
        None where a text is not valid UTF-8, or there are more bytes than a column can hold.
    """
    import pyarrow as pa

    if pa.types.is_primitive(kind):
        return number_array(values, kind)
    try:
        array = text_array(values, kind)
        array.validate(full=True)
    except (OverflowError, pa.ArrowInvalid):
        return None
    return array
