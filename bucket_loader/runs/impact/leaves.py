"""What comes of a filter that asks for a field, with each value of a column.

Texts are held against most operators all at once. All else is evaluated by `model.evaluation`, value by value.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

import numpy as np

from bucket_loader.model import ASKS_FOR_ABSENCE, Filter, dates, evaluate, javascript
from bucket_loader.runs.impact.columns import Column, Truths, Unknown, Value
from bucket_loader.runs.impact.outcomes import FAILED, FALSE, TRUE, Outcomes

_HASH_BITS: Final = 0xFFFFF
_HASH_SCALE: Final = 100_000


def outcomes_of_values(node: Filter, name: str, column: Column, now_ms: float) -> Outcomes:
    """Return what comes of a filter with each value of the column that it asks for."""
    found, test = np.zeros(len(column.values), np.uint8), _test_of(node, now_ms)
    if test is not None:
        found[column.texts[0]] = np.where(test(column), TRUE, FALSE)
    for place, value in enumerate(column.values):
        if test is None or not isinstance(value, str):
            found[place] = _one(node, name, value, now_ms)
    return found


def _one(node: Filter, name: str, value: Value, now_ms: float) -> int:
    if isinstance(value, Unknown):
        return _of_unknown(node)
    found = evaluate([node], {} if value is None else {name: value}, now_ms, "2025")
    return TRUE if found.results[0] else FAILED if found.errors else FALSE


def _of_unknown(node: Filter) -> int:
    """Return what may come of a filter whose field nobody knows: it may be absent."""
    if node["type"] == "rolloutPercentage":
        return FALSE | FAILED | (TRUE if float(node["partialRolloutThreshold"]) > 0 else 0)
    return TRUE | FALSE | (0 if node["operator"] in ASKS_FOR_ABSENCE else FAILED)


# --- texts, all at once ----------------------------------------------------------------------------------------------

_Test = Callable[[Column], Any]


def _test_of(node: Filter, now_ms: float) -> _Test | None:
    """Return what holds all texts of a column against a filter; None where they are evaluated one by one."""
    if node["type"] == "rolloutPercentage":
        return lambda column: _rolled_out(node, column)
    make = _TESTS.get(node["operator"])
    return None if make is None else make(node.get("values") or [], now_ms)


def _rolled_out(node: Filter, column: Column) -> Truths:
    """Return which texts a rollout is on for, as `rollout_hash` has it."""
    start = f"{node['key']}.".encode()
    digests = b"".join([sha256(start + text).digest()[:4] for text in column.bytes])
    shares = np.frombuffer(digests, "<u4") & _HASH_BITS
    found: Truths = np.floor(shares / _HASH_BITS * _HASH_SCALE) < float(node["partialRolloutThreshold"])
    return found


def _contains(values: Sequence[str], _: float) -> _Test:
    small = values[0].lower()
    return lambda column: np.array([small in text for text in column.lower], np.bool_)


def _is_any(values: Sequence[str]) -> _Test:
    wanted = frozenset(values)
    return lambda column: np.array([text in wanted for text in column.texts[1]], np.bool_)


def _not(make: Callable[[Sequence[str], float], _Test]) -> Callable[[Sequence[str], float], _Test]:
    def made(values: Sequence[str], now_ms: float) -> _Test:
        test = make(values, now_ms)
        return lambda column: ~test(column)

    return made


def _days_ago(values: Sequence[str], now_ms: float) -> float:
    return dates.days_before(now_ms, javascript.number(values[0]))


_TESTS: Final[dict[str, Callable[[Sequence[str], float], _Test]]] = {
    "IS": lambda values, _: _is_any(values[:1]),
    "IS_NOT": _not(lambda values, _: _is_any(values[:1])),
    "ANY_OF": lambda values, _: _is_any(values),
    "NOT_ANY_OF": _not(lambda values, _: _is_any(values)),
    "CONTAINS": _contains,
    "NOT_CONTAINS": _not(_contains),
    "SET": _not(lambda *_: _is_any([""])),
    "NOT_SET": lambda *_: _is_any([""]),
    "IS_TRUE": lambda *_: _is_any(["true"]),
    "IS_FALSE": lambda *_: _is_any(["false"]),
    "GT": lambda values, _: lambda column: column.numbers > javascript.number(values[0]),
    "LT": lambda values, _: lambda column: column.numbers < javascript.number(values[0]),
    "AFTER": lambda values, now_ms: lambda column: column.dates > _days_ago(values, now_ms),
    "BEFORE": lambda values, now_ms: lambda column: column.dates < _days_ago(values, now_ms),
    "DATE_AFTER": lambda values, _: lambda column: column.dates >= dates.date_ms(values[0]),
    "DATE_BEFORE": lambda values, _: lambda column: column.dates <= dates.date_ms(values[0]),
}
