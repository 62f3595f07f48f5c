"""The high-water mark of a stream: the greatest value of a column that was planned, from which the next run reads on.

It is a moment, a date, a whole number or a text, and stays of its kind; the ledger keeps it as JSON. It never lies in
the future: one row dated 2099 would hide every row that comes before.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.config import Cursor
from bucket_loader.model import InputBatch, UsageError
from bucket_loader.planning.mapping import path_of

Mark = datetime | date | int | str
"""A value of the cursor's column; datetimes are aware, UTC."""


@dataclass
class HighWater:
    """Watches the batches of one stream.

    Attributes:
        column: the cursor's.
        as_of: the run's time, which no mark passes.
        mark: the greatest value so far; None before the first.
    """

    column: str
    as_of: datetime
    mark: Mark | None = None

    def watch(self, batches: Iterator[InputBatch]) -> Iterator[InputBatch]:
        """Return batches on, taking note of each."""
        for batch in batches:
            self.see(batch.data)
            yield batch

    def see(self, batch: pa.RecordBatch) -> None:
        """Take note of a batch.

        Raises:
            UsageError: there is no such column, or its values have no order that a query could read on from.
        """
        values = self._values(batch)
        kind = values.type
        if pa.types.is_null(kind):
            return
        if not _has_order(kind):
            raise UsageError(
                f"`cursor:` needs a column of times, dates, whole numbers or texts; {self.column!r} is {kind}",
                hint="cast it in the query",
            )
        if pa.types.is_timestamp(kind):
            values = values.cast(pa.timestamp("us", kind.tz), safe=False)
        greatest = pc.max(values).as_py()
        if greatest is not None:
            self._rise(greatest)

    def _values(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the values of the cursor's column, which may be inside of another; texts and numbers out of JSON."""
        if self.column in batch.schema.names:
            return batch.column(self.column)
        if (path := path_of(self.column, batch.schema)) is None:
            raise UsageError(
                f"`cursor:` names column {self.column!r}, which the source does not have",
                hint=f"it has: {', '.join(batch.schema.names[:40])}",
            )
        values, _ = path.values(batch)
        if not isinstance(values.type, pa.JsonType):
            return values
        try:
            return pa.array([None if text is None else json.loads(text) for text in values.to_pylist()])
        except pa.ArrowException:  # values of several kinds, which have no order
            return values

    def _rise(self, value: Mark) -> None:
        if isinstance(value, datetime):
            value = min(value if value.tzinfo else value.replace(tzinfo=UTC), self.as_of)
        elif isinstance(value, date):
            value = min(value, self.as_of.date())
        self.mark = highest((self.mark, value))


def _has_order(kind: pa.DataType) -> bool:
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_integer(kind) or is_text)


def highest(marks: Iterable[Mark | None]) -> Mark | None:
    """Return the highest mark of one reading, whose pieces may come in any order; of two kinds always the same one."""
    return max((one for one in marks if one is not None), key=lambda one: (type(one).__name__, one), default=None)


def greater(one: Mark, other: Mark) -> Mark:
    """Return the greater of two marks; of two kinds the later one, since the column's type has changed."""
    return max(one, other) if type(one) is type(other) else other


def spelt(mark: Mark | None) -> str | None:
    """Spell a mark for the ledger and the manifest."""
    if mark is None:
        return None
    kind = "time" if isinstance(mark, datetime) else type(mark).__name__
    return json.dumps({kind: mark.isoformat() if isinstance(mark, date) else mark})


def read(text: str) -> Mark:
    """Read what `spelt` wrote."""
    ((kind, value),) = json.loads(text).items()
    if kind == "time":
        return datetime.fromisoformat(value).astimezone(UTC)
    found: Mark = date.fromisoformat(value) if kind == "date" else value
    return found


def shown(text: str) -> str | int:
    """Return a spelt mark as `status` shows it."""
    (value,) = json.loads(text).values()
    return value  # type: ignore[no-any-return]


def bound(cursor: Cursor, known: str | None) -> Mark:
    """Return what `:cursor` stands for: the mark less the lookback, or the start where there is no mark.

    Raises:
        UsageError: the lookback does not fit the mark.
    """
    if known is None:
        start = cursor.start
        return start.astimezone(UTC) if isinstance(start, datetime) else start
    mark, lookback = read(known), cursor.lookback
    if not lookback:
        return mark
    if isinstance(mark, int):
        return mark - math.ceil(lookback)
    back = timedelta(seconds=lookback)
    if isinstance(mark, datetime):
        return mark - back
    if isinstance(mark, date):
        return mark - timedelta(days=math.ceil(lookback / 86_400))
    return _text_before(mark, back)


def _text_before(mark: str, back: timedelta) -> str:
    """Go back from a time that is spelt as text, and spell it in the same way."""
    try:
        moment = datetime.fromisoformat(mark)
    except ValueError:
        raise UsageError(
            "`cursor: lookback` needs a column of times or numbers; its texts are no times",
            hint="cast the column in the query, or leave `lookback` out",
        ) from None
    if len(mark) == len("2026-01-01"):
        return (moment - timedelta(days=math.ceil(back / timedelta(days=1)))).date().isoformat()
    text = (moment - back).isoformat(sep=mark[10])
    return text.removesuffix("+00:00") + "Z" if mark.endswith("Z") else text
