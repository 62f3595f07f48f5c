"""Scalars of numpy and pandas, which stand among Python's own values, as the Python ones that they mean."""


def python_value(value: object) -> object:
    """Return the Python value of a scalar; a time or a span with nanoseconds stays as it is, for Python has none."""
    import numpy as np
    import pandas as pd

    match value:
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
