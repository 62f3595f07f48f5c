"""Scalars of numpy and pandas, which stand among Python's own values, as the Python ones that they mean."""

from decimal import Decimal
from typing import Any


class InfiniteError(ValueError):
    """A decimal is infinite, which neither Arrow nor JSON can say."""


def python_value(value: Any) -> Any:  # noqa: ANN401  # a value of any type
    """Return the Python value of a scalar, also of those inside lists and dictionaries.

    A time or a span with nanoseconds stays as it is, for Python has none.

    Raises:
        InfiniteError: it is an infinite decimal.
        OverflowError, ValueError: it is a time or a span that pandas cannot hold.
    """
    if isinstance(value, dict):
        return {key: _inner(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_inner(child) for child in value]
    if isinstance(value, Decimal) and value.is_infinite():
        raise InfiniteError
    return _scalar(value)


def _scalar(value: Any) -> Any:  # noqa: ANN401  # a value of any type
    import numpy as np
    import pandas as pd

    match value:
        case np.ndarray() if value.ndim == 0:
            return python_value(value[()])
        case np.ndarray() if value.ndim > 1 or value.dtype == object:
            return [_inner(child) for child in value]
        case np.datetime64():
            return python_value(pd.Timestamp(value))
        case np.timedelta64():
            return python_value(pd.Timedelta(value))
        case pd.Timestamp():
            return value if value.nanosecond else value.to_pydatetime()
        case pd.Timedelta():
            return value if value.nanoseconds else value.to_pytimedelta()
        case np.floating():
            return float(str(value))  # with its own shortest digits: 0.1, and not 0.10000000149011612
        case np.generic():
            return value.item()
        case _:
            return value


def _inner(value: object) -> object:
    found = python_value(value)
    return None if is_null(found) else found


def is_null(value: object) -> bool:
    """Whether a value is None, NaN, NaT or NA, of floats and of decimals."""
    import pandas as pd

    if isinstance(value, Decimal):
        return value.is_nan()
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)  # noqa: PLR0124
