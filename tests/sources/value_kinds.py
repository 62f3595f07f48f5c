"""The kinds of single values: how each is drawn, what it is on the wire, and how sources spell it."""

import json
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import value_forms as forms
from hypothesis import strategies as st
from value_forms import NoForm


class Unsayable(Exception):  # noqa: N818  # it is no error: the row is left out
    """A source has no words for a value."""


@dataclass(frozen=True, repr=False)
class Kind:
    """A kind of single value.

    Attributes:
        name: for messages.
        values: draws one.
        said: its JSON text on the wire; None where it is null, `NoForm` where the row is rejected.
        words: what a field says to read it from text; a typed source is read with them, too.
        text: its text in CSV; None where that is nothing.
        read: what is said of that text, where it is not the same.
        json: its spelling inside of JSON text.
        arrow: its type in Arrow, and `stored` what an array of it is made of.
        duckdb: its type in DuckDB, and `sql` a value there.
        postgres: its type in PostgreSQL, whose text is that of CSV.
        python: the value in a column of objects.
    """

    name: str
    values: st.SearchStrategy[Any]
    said: Callable[[Any], str | None]
    words: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    text: Callable[[Any], str | None] = str
    read: Callable[[Any], str | None] | None = None
    json: Callable[[Any], str] | None = None
    arrow: pa.DataType | None = None
    stored: Callable[[Any], Any] = lambda value: value
    duckdb: str = ""
    sql: Callable[[Any], str] | None = None
    postgres: str = ""
    python: Callable[[Any], Any] | None = None

    def __repr__(self) -> str:
        return self.name

    def spelt(self, value: Any) -> str:
        """Return the value inside of JSON text: a number as it is written, anything else in its form on the wire."""
        if self.json is not None:
            return self.json(value)
        try:
            return self.said(value) or "null"
        except NoForm:
            raise Unsayable from None


def quoted(text: str) -> str:
    """Spell a text for SQL."""
    return "'" + text.replace("'", "''").replace("\0", "'||chr(0)||'") + "'"


def _known(text: str) -> str:
    if any(0xD800 <= ord(letter) < 0xE000 for letter in text):
        raise Unsayable
    return quoted(text)


# --- numbers -------------------------------------------------------------------------------------------------------


def _whole(name: str, low: int, high: int, **words: Any) -> Kind:
    near = [low, high, 0, 1, -1, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63, 10**18, 7]
    values = st.sampled_from([one for one in near if low <= one <= high]) | st.integers(low, high)
    return Kind(
        name, values, forms.whole, json=str, **{"python": int, "sql": str, "words": {"type": "integer"}} | words
    )


_POSTGRES = {"int16": "smallint", "int32": "integer", "int64": "bigint"}
_WIDTHS = [
    _whole(f"{'u' * (low == 0)}int{bits}", low, high, arrow=getattr(pa, f"{'u' * (low == 0)}int{bits}")(),
           duckdb=f"{'U' * (low == 0)}{word}", postgres=_POSTGRES.get(f"{'u' * (low == 0)}int{bits}", ""))
    for bits, word in ((8, "TINYINT"), (16, "SMALLINT"), (32, "INTEGER"), (64, "BIGINT"))
    for low, high in ((-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), (0, 2**bits - 1))
]  # fmt: skip
_NUMBER = {"type": "number"}
HUGE = [
    _whole("hugeint", -(10**38) + 1, 10**38 - 1, duckdb="HUGEINT", words=_NUMBER, python=None,
           sql=lambda value: f"'{value}'::HUGEINT"),
    _whole("uhugeint", 0, 2**128 - 1, duckdb="UHUGEINT", words=_NUMBER, python=None,
           sql=lambda value: f"'{value}'::UHUGEINT"),
    _whole("bignum", -(10**60), 10**60, duckdb="BIGNUM", words=_NUMBER, python=None,
           sql=lambda value: f"'{value}'::BIGNUM"),
]  # fmt: skip


def _float(name: str, said: Callable[[float], str | None], spelt: Callable[[float], str], width: int, **words: Any):
    edges = [0.0, -0.0, 0.1, -2.5, 1e-5, 1 / 3, math.nan, 65504.0, 1e-7]
    edges += [1e15, 2.0**53, 2.0**53 + 2, 2.0**60, 1e22, 16777216.0, 123456.789, 1e30, 3.5e37] if width > 16 else []
    edges += (
        [1e23, 0.1 + 0.2, 1e37, 9.9e36, 1.7976931348623157e308, 5e-324, 2.3e-308, 1e-10, 1e300] if width > 32 else []
    )
    rounded = {16: np.float16, 32: np.float32, 64: np.float64}[width]
    values = st.sampled_from([float(rounded(one)) for one in edges]) | st.floats(width=width, allow_infinity=False)
    rare = st.sampled_from([math.inf, -math.inf])

    def text(value: float) -> str | None:
        return None if math.isnan(value) else spelt(value)

    def read(value: float) -> str | None:
        if math.isinf(value):
            raise NoForm
        return None if math.isnan(value) else forms.number(spelt(value))

    def in_json(value: float) -> str:
        if math.isinf(value):
            raise Unsayable
        return text(value) or "null"

    def sql(value: float) -> str:
        return f"'{value!r}'::{words['duckdb']}"

    drawn = st.integers(0, 15).flatmap(lambda number: rare if number == 15 else values)
    return Kind(name, drawn, said, {"type": "number"}, text, read, in_json, sql=sql,
                python=float if width == 64 else None, **words)  # fmt: skip


FLOATS = [
    _float("float64", forms.double, repr, 64, arrow=pa.float64(), duckdb="DOUBLE", postgres="double precision"),
    _float("float32", forms.single, lambda value: str(np.float32(value)), 32, arrow=pa.float32(), duckdb="FLOAT",
           postgres="real"),
    _float("float16", forms.half, lambda value: str(np.float16(value)), 16, arrow=pa.float16(), stored=np.float16,
           duckdb=""),
]  # fmt: skip


def decimal(digits: int, scale: int, *, small: bool) -> Kind:
    """Return the decimals of a precision and a scale."""
    most = 10**digits - 1
    counts = st.sampled_from(
        [0, 1, -1, most, -most, 10**scale % (most + 1), 10 ** min(digits, scale) // 2]
    ) | st.integers(-most, most)
    values = counts.map(lambda count: Decimal((int(count < 0), tuple(map(int, str(abs(count)))), -scale)))
    narrow = pa.decimal32 if digits <= 9 else pa.decimal64 if digits <= 18 else pa.decimal128
    kind = narrow if small and digits <= 18 else pa.decimal128 if digits <= 38 else pa.decimal256
    name = f"DECIMAL({digits}, {scale})"
    return Kind(name, values, forms.exact, _NUMBER, "{:f}".format, json="{:f}".format, arrow=kind(digits, scale),
                duckdb=name if digits <= 38 else "", sql=lambda value: f"'{value:f}'::{name}",
                postgres=f"numeric({digits},{scale})", python=lambda value: value)  # fmt: skip


DECIMALS = st.integers(1, 76).flatmap(
    lambda digits: st.builds(
        decimal, st.just(digits), st.sampled_from([0, digits, digits // 2, min(2, digits)]), small=st.booleans()
    )
)

# --- texts, bytes and truth ----------------------------------------------------------------------------------------

HARD = [
    "", " ", "00123", "null", "NaN", "1e5", "-0", "a,b;c|d", 'say "hi"', "it's", "back\\slash\\n", "tab\t",
    "two\nlines", "crlf\r\nhere", "cr\ralone", "\u2028", "\x01\x1f\x7f", "\x85\x9f", "Ünï 🪣 👩‍👩‍👧", "e\u0301", "שלום",
    "\ufeffbom", "\U0010ffff\ufffd", "${HOME}%s{0}", "'; drop", "true", "2026-01-31", "{}", "[1]", '{"a": 1}',
    "long " * 5000, "9007199254740993", "\ufffe", "\u0130\u0131",
]  # fmt: skip
_SICK = ["nul\0in it", "half \ud83e", "\udc80"]
_TEXTS = st.integers(0, 15).flatmap(
    lambda number: (
        st.sampled_from(_SICK) if number == 15 else st.sampled_from(HARD) | st.text('aAb.é"\\\n\x1f🪣 ', max_size=6)
    )
)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _texts(name: str, kind: pa.DataType, **words: Any) -> Kind:
    return Kind(name, _TEXTS, forms.text, json=json.dumps, arrow=kind, stored=_bytes, **words)


def _sane(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return values.filter(lambda text: text not in _SICK)


_ENUM = ["a", "", "it's", "Ünï 🪣", "b" * 300]
TEXTS = [
    _texts("text", pa.string(), duckdb="VARCHAR", sql=_known, postgres="text", python=lambda value: value),
    _texts("large text", pa.large_string()),
    _texts("view of text", pa.string_view()),
    Kind("dictionary", st.sampled_from(_ENUM), forms.text, json=json.dumps, arrow=pa.dictionary(pa.int8(), pa.string()),
         duckdb=f"ENUM({', '.join(map(quoted, _ENUM))})", sql=quoted),
    Kind("large dictionary", _sane(_TEXTS), forms.text, json=json.dumps,
         arrow=pa.dictionary(pa.uint32(), pa.large_string())),
    Kind("runs", _sane(_TEXTS), forms.text, json=json.dumps, arrow=pa.run_end_encoded(pa.int32(), pa.string())),
    Kind("runs of numbers", st.integers(-(2**63), 2**63 - 1), forms.whole, {"type": "integer"}, json=str,
         arrow=pa.run_end_encoded(pa.int16(), pa.int64())),
    Kind("dictionary of numbers", st.integers(0, 2**64 - 1), forms.whole, {"type": "integer"}, json=str,
         arrow=pa.dictionary(pa.int32(), pa.uint64())),
]  # fmt: skip


def _no_form(_: object) -> str:
    raise NoForm


def _binary(name: str, kind: pa.DataType, values: st.SearchStrategy[bytes] | None = None, **words: Any) -> Kind:
    """Return a kind of bytes: at the top they are said in hex, as the field asks for; inside they have no form."""
    drawn = st.binary(max_size=8) if values is None else values
    return Kind(name, drawn, _no_form, {"type": "string", "encoding": "hex"}, bytes.hex, arrow=kind, **words)


BINARIES = [
    _binary("binary", pa.binary(), duckdb="BLOB", sql=lambda value: f"unhex('{value.hex()}')", python=bytes,
            postgres="bytea"),
    _binary("large binary", pa.large_binary()),
    _binary("view of binary", pa.binary_view()),
    _binary("fixed binary", pa.binary(3), st.binary(min_size=3, max_size=3)),
]  # fmt: skip


def _truth(value: bool) -> str:  # noqa: FBT001  # it is the value
    return str(value).lower()


_TOKENS = st.sampled_from([uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)]) | st.uuids()
OTHERS = [
    Kind("boolean", st.booleans(), _truth, {"type": "boolean"}, _truth, json=_truth, arrow=pa.bool_(), duckdb="BOOLEAN",
         sql=str, postgres="boolean", python=bool),
    Kind("bool8", st.booleans(), _truth, {"type": "boolean"}, _truth, json=_truth, arrow=pa.bool8(), stored=int),
    Kind("uuid", _TOKENS, lambda value: f'"{value}"', arrow=pa.uuid(), stored=lambda value: value.bytes, duckdb="UUID",
         sql=lambda value: f"'{value}'::UUID", postgres="uuid", python=lambda value: value),
    Kind("bit", st.text("01", min_size=1, max_size=20), lambda value: f'"{value}"', duckdb="BIT",
         sql=lambda value: f"'{value}'::BIT", postgres="bit varying"),
    Kind("null", st.none(), lambda _: None, arrow=pa.null()),
]  # fmt: skip

# --- times ---------------------------------------------------------------------------------------------------------

_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = (-200_000, 1, 999, 1000, 1582, 1677, 1969, 1970, 2026, 2262, 9998, 9999, 10_000, 200_000)


def _days() -> st.SearchStrategy[int]:
    """Draw days from 1970: of all centuries, and near those years in which something changes."""
    edges = [round((year - 1970) * 365.2425) + near for year in _YEARS for near in (-1, 0, 1)]
    some = st.integers(-300_000, 2_900_000)
    return st.integers(0, 5).flatmap(lambda number: st.sampled_from(edges) if number == 0 else some)


def _iso(count: int, unit: str) -> str:
    """Spell a moment as text with all digits of its unit; years that have not four digits are not said."""
    seconds, below = divmod(count, _DAY[unit] // 86_400)
    digits = len(str(_DAY[unit] // 86_400)) - 1
    try:
        shown = f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"
    except OverflowError:
        raise Unsayable from None
    return f"{shown.zfill(19)}.{below:0{digits}}" if digits else shown.zfill(19)


def _moments(unit: str) -> st.SearchStrategy[int]:
    most = 2**63 - 1
    values = st.builds(lambda days, count: days * _DAY[unit] + count, _days(), st.integers(0, _DAY[unit] - 1))
    return values.filter(lambda count: abs(count) < most) if unit == "ns" else values


_DUCK_ZONED = {"us": "TIMESTAMPTZ", "ns": "TIMESTAMPTZ_NS"}
_DUCK_MOMENT = {"s": "TIMESTAMP_S", "ms": "TIMESTAMP_MS", "us": "TIMESTAMP", "ns": "TIMESTAMP_NS"}


def moment(unit: str, zone: str | None) -> Kind:
    """Return the moments of a unit: with a zone, or without one (then the stream says that it is UTC)."""
    zoned = "+00:00" if zone else ""

    def sql(count: int) -> str:
        if unit == "ns":
            return f"make_timestamp_ns({count})" if not zone else f"CAST(make_timestamp_ns({count}) AS TIMESTAMPTZ_NS)"
        micros = count * int(forms.MICROSECOND[unit])
        return f"CAST(make_timestamp({micros}) AS {'TIMESTAMPTZ' if zone else _DUCK_MOMENT[unit]})"

    def python(count: int) -> datetime:
        if unit != "us":
            raise Unsayable
        try:
            found = _EPOCH + timedelta(microseconds=count)
        except OverflowError:
            raise Unsayable from None
        return found if zone else found.replace(tzinfo=None)

    known = _DUCK_ZONED.get(unit, "") if zone else _DUCK_MOMENT[unit]
    return Kind(f"timestamp {unit} {zone or ''}".strip(), _moments(unit), lambda count: forms.moment(count, unit),
                {"type": "timestamp"}, lambda count: _iso(count, unit) + zoned, arrow=pa.timestamp(unit, zone),
                duckdb=known, sql=sql, postgres=("timestamptz" if zone else "timestamp") if unit == "us" else "",
                python=python if unit == "us" else None)  # fmt: skip


def _clock(unit: str) -> Kind:
    last = _DAY[unit]
    values = st.sampled_from([0, 1, last - 1, last, last // 3, last // 2]) | st.integers(0, last)

    def text(count: int) -> str:
        return forms.clock(count, unit).strip('"')

    def python(count: int) -> time:
        if count == last:
            raise Unsayable
        return (_EPOCH + timedelta(microseconds=count)).time()

    kind = pa.time32(unit) if unit in {"s", "ms"} else pa.time64(unit)
    return Kind(f"time {unit}", values, lambda count: forms.clock(count, unit), text=text, arrow=kind,
                duckdb={"us": "TIME", "ns": "TIME_NS"}.get(unit, ""),
                sql=lambda count: f"'{text(count)}'::{'TIME' if unit == 'us' else 'TIME_NS'}",
                postgres="time" if unit == "us" else "", python=python if unit == "us" else None)  # fmt: skip


def _duration(unit: str) -> Kind:
    size = 10**9 // (_DAY[unit] // 86_400)
    most = 2**63 // size // 2 if unit == "ns" else 999_999_999 * 86_400 * (10**9 // size)
    edges = [0, 1, -1, 90, -3_661, _DAY[unit], -_DAY[unit] - 1]
    values = st.sampled_from(edges) | st.integers(-min(most, 10**15), min(most, 10**15))

    def said(count: int) -> str:
        return forms.span(0, 0, count * size)

    return Kind(f"duration {unit}", values, said, text=lambda count: said(count).strip('"'), arrow=pa.duration(unit),
                python=(lambda count: timedelta(microseconds=count)) if unit == "us" else None)  # fmt: skip


_PARTS = st.sampled_from([0, 0, 1, -1, 11, 12, -13, 400, -31])
_INTERVALS = st.tuples(_PARTS, _PARTS, st.sampled_from([0, 1, -1, 500_000, -90_000_000, 3_661_000_001, 10**14]))


def _interval_text(value: tuple[int, int, int]) -> str:
    return forms.span(value[0], value[1], value[2] * 1000).strip('"')


def _date_text(days: int) -> str:
    try:
        return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
    except OverflowError:
        raise Unsayable from None


def _date(days: int) -> date:
    return date.fromisoformat(_date_text(days))


_TIMETZ = ["12:00:00+02", "00:00:00+00", "23:59:59.5-05:30", "08:15:00.000001+14", "24:00:00+00"]
ZONES = ("UTC", "+05:30", "+0530", "utc", "Z", "Europe/Oslo", "America/Vancouver")
TIMES = [
    *(_clock(unit) for unit in _DAY), *(_duration(unit) for unit in _DAY),
    Kind("date32", _days(), forms.day, {"type": "date"}, _date_text, arrow=pa.date32(), duckdb="DATE",
         sql=lambda days: f"DATE '1970-01-01' + ({days})", postgres="date", python=_date),
    Kind("date64", _days(), forms.day, {"type": "date"}, _date_text, arrow=pa.date64(),
         stored=lambda days: days * _DAY["ms"]),
    Kind("interval", _INTERVALS, lambda value: f'"{_interval_text(value)}"', text=_interval_text,
         arrow=pa.month_day_nano_interval(), stored=lambda value: (*value[:2], value[2] * 1000), duckdb="INTERVAL",
         sql=lambda value: "(to_months({}) + to_days({}) + to_microseconds({}))".format(*value), postgres="interval"),
    Kind("timetz", st.sampled_from(_TIMETZ), lambda value: f'"{value}"', duckdb="TIMETZ",
         sql=lambda value: f"'{value}'::TIMETZ", postgres="timetz"),
]  # fmt: skip
MOMENTS = st.builds(moment, st.sampled_from(list(_DAY)), st.none() | st.sampled_from(ZONES))

KINDS = (
    st.sampled_from([*_WIDTHS, *HUGE, *FLOATS, *TEXTS, *BINARIES, *OTHERS])
    | DECIMALS
    | st.sampled_from(TIMES)
    | MOMENTS
)
