"""What each value is on the wire, written once more and apart from the loader: what the sources are held against."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np

WHOLE_MAX = 2**53 - 1
MICROSECOND = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}


class NoForm(Exception):  # noqa: N818  # it is no error: the row is refused
    """A value has no form; its row is rejected."""


def text(value: str) -> str:
    """Spell a text; no JSON carries a NUL or half a character."""
    if "\0" in value or any(0xD800 <= ord(letter) < 0xE000 for letter in value):
        raise NoForm
    named = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(named.get(x) or (f"\\u{ord(x):04X}" if x < " " else x) for x in value) + '"'


def whole(value: int) -> str:
    """Spell a whole number; as text where JavaScript would round it."""
    return str(value) if abs(value) <= WHOLE_MAX else f'"{value}"'


def exact(value: Decimal) -> str:
    """Spell a decimal: as a number where 15 digits are enough, else its digits as text."""
    if value == value.to_integral_value():
        return whole(int(value))
    plain = f"{value:f}".rstrip("0")
    digits = len(plain.lstrip("-").replace(".", "").lstrip("0"))
    return repr(float(plain)) if digits <= 15 and abs(value) >= Decimal("2.3e-308") else f'"{plain}"'


def number(spelt: str) -> str:
    """Spell the number that a text means; with an exponent and from 1e37 on, it is what a float is."""
    value = Decimal(spelt)
    if not math.isfinite(float(value)):
        raise NoForm
    return repr(float(value)) if "e" in spelt.lower() and abs(float(value)) >= 1e37 else exact(value)


def json_number(spelt: str) -> str:
    """Spell a number inside of JSON: exactly, however great; documented in docs/sources.md."""
    value = Decimal(spelt)
    if value and abs(value.adjusted()) > 400:
        raise NoForm
    return exact(value)


def double(value: float) -> str | None:
    """Spell a float: whole ones with all their digits, others in their shortest form; NaN is null."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise NoForm
    return whole(int(value)) if value.is_integer() and abs(value) < 1e37 else repr(value)


def single(value: float) -> str | None:
    """Spell a float of 32 bits, with its own shortest digits."""
    return double(value) if value != value or value.is_integer() else double(float(str(np.float32(value))))  # noqa: PLR0124


def half(value: float) -> str | None:
    """Spell a float of 16 bits, with its own shortest digits."""
    return double(value) if value != value or value.is_integer() else double(float(str(np.float16(value))))  # noqa: PLR0124


def day(days: int) -> str:
    """Spell a date, counted in days from 1970."""
    if not date(1000, 1, 1).toordinal() <= days + date(1970, 1, 1).toordinal() <= date(9999, 12, 31).toordinal():
        raise NoForm
    return f'"{date(1970, 1, 1) + timedelta(days=days)}"'


def moment(count: int, unit: str, hours: int = 0) -> str:
    """Spell a moment, counted in units from 1970 in a zone some hours east; cut to milliseconds."""
    micros = count // 1000 if unit == "ns" else count * int(MICROSECOND[unit])
    first, last = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    micros -= hours * 3_600_000_000
    if not (first - epoch) // timedelta(microseconds=1) <= micros <= (last - epoch) // timedelta(microseconds=1):
        raise NoForm
    found = epoch + timedelta(microseconds=micros)
    return f'"{found:%Y-%m-%dT%H:%M:%S}.{found.microsecond // 1000:03}Z"'


def clock(count: int, unit: str) -> str:
    """Spell a time of day, counted in units from midnight, up to 24:00:00."""
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    seconds, below = divmod(count, 10**digits)
    fraction = f".{below:0{digits}}".rstrip("0") if below else ""
    return f'"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"'


def span(months: int, days: int, nanoseconds: int) -> str:
    """Spell a span of time; each part has its own sign."""

    def parts(count: int, *sizes: int) -> Iterator[int]:
        sign, rest = (-1 if count < 0 else 1), abs(count)
        for size in sizes:
            whole_part, rest = divmod(rest, size)
            yield sign * whole_part
        yield sign * rest

    years, month = parts(months, 12)
    hours, minutes, nanos = parts(nanoseconds, 3600 * 10**9, 60 * 10**9)
    second = f"{Decimal(nanos).scaleb(-9):f}".rstrip("0").rstrip(".") if nanos else "0"
    before = "".join(f"{count}{unit}" for count, unit in ((years, "Y"), (month, "M"), (days, "D")) if count)
    after = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M")) if count)
    after += f"{second}S" if second != "0" else ""
    return f'"P{before}T{after}"' if after else f'"P{before}"' if before else '"PT0S"'
