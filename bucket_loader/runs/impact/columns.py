"""Columns of contexts: each value of a field is kept once, and so is what texts mean as numbers and dates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from bucket_loader.model import FieldValue, dates, javascript
from bucket_loader.runs.impact.outcomes import Outcomes

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
Truths = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class Unknown:
    """In the place of a value that nobody here knows, and why."""

    why: str


Value = FieldValue | Unknown | None
"""The value of a field; None where it is absent."""


@dataclass(frozen=True)
class Column:
    """The values of a field, a row each.

    Attributes:
        codes: for each row the place of its value.
        values: each that occurs.
        spelt: each as it is sent, as JSON; None where it is not one attribute. Empty where none is.
    """

    codes: Numbers
    values: Sequence[Value]
    spelt: Sequence[str | None] = ()

    @classmethod
    def of_one(cls, value: Value, rows: int) -> "Column":
        """Return a column that has one value in all rows."""
        return cls(np.zeros(rows, np.int64), [value])

    def each(self, table: Sequence[int] | Outcomes) -> Outcomes:
        """Return for each row what a table of the values has for it."""
        return np.asarray(table, np.uint8)[self.codes]

    @cached_property
    def unknown(self) -> Truths | None:
        """Which rows have a value that nobody knows; None where none has."""
        are = np.array([isinstance(value, Unknown) for value in self.values], np.bool_)
        return are[self.codes] if are.any() else None

    @cached_property
    def texts(self) -> tuple[Numbers, Sequence[str]]:
        """The values that are texts, and their places."""
        places = [place for place, value in enumerate(self.values) if isinstance(value, str)]
        return np.array(places, np.int64), [value for value in self.values if isinstance(value, str)]

    @cached_property
    def bytes(self) -> Sequence[bytes]:
        """The texts as UTF-8."""
        return [text.encode() for text in self.texts[1]]

    @cached_property
    def lower(self) -> Sequence[str]:
        """The texts in small letters."""
        return [text.lower() for text in self.texts[1]]

    @cached_property
    def numbers(self) -> Floats:
        """The texts as numbers."""
        return np.fromiter(map(javascript.number, self.texts[1]), np.float64, len(self.texts[1]))

    @cached_property
    def dates(self) -> Floats:
        """The texts as dates: milliseconds since the epoch."""
        return np.fromiter(map(dates.date_ms, self.texts[1]), np.float64, len(self.texts[1]))

    def sent_at(self, row: int) -> Any:  # noqa: ANN401  # JSON of any shape
        """Return the value of a row as it is sent: the number 5, where rules see the text "5"."""
        spelt = self.spelt[int(self.codes[row])] if self.spelt else None
        return self.at(row) if spelt is None else msgspec.json.decode(spelt)

    def at(self, row: int) -> Value:
        """Return the value of a row."""
        return self.values[int(self.codes[row])]
