"""Reads a text as a date the way `new Date(text)` does in V8, where the one public evaluation runs.

First the Date Time String Format of ECMAScript; then, for everything else, what V8 reads as well: words, numbers and
signs in nearly any order ("Jan 5, 2024", "1/5/2024 3:04 PM", "5"). A text without a zone is UTC: what the zone of the
real server is, no source says.

Source: ECMAScript (the format, the days in a month), V8's documentation of its date parser, and trials in node.
"""

import math
import re
from datetime import date
from typing import Final, NamedTuple

DAY_MS: Final = 86_400_000
_DATE_MS_MAX: Final = 8.64e15  # a Date reaches no further

_FORMAT: Final = re.compile(
    r"(?P<year>[0-9]{4}|(?!-0{6})[+-][0-9]{6})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?"
    r"(?:[Tt](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<offset_hour>[0-9]{2}):?(?P<offset_minute>[0-9]{2}))?)?"
)
# Parentheses hold comments. A word is whatever lies beyond the signs of ASCII and is not blank.
_BLANKS: Final = r"\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff"
_TOKEN: Final = re.compile(
    rf"(?P<number>[0-9]+)|(?P<sign>[+-])|(?P<symbol>[:.)])|(?P<word>[^\x00-@{_BLANKS}]+)"
    rf"|(?P<blank>[\t\n\v\f\r {_BLANKS}])|(?P<comment>\()|(?P<other>.)",
    re.DOTALL,
)
# What V8 takes of a text that begins like the format, and goes on otherwise.
_BEGINNING: Final = re.compile(
    r"(?P<year>[0-9]{4}|[+-][0-9]{6})(?![0-9])"
    r"(?:-(?:(?P<month>0[1-9]|1[0-2])(?![0-9])(?:-(?:(?P<day>0[1-9]|[12][0-9]|3[01])(?![0-9]))?)?)?)?"
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NOON: Final = {"am": 0, "pm": 12}  # hours to add
_ZONES: Final = {
    "z": 0, "ut": 0, "utc": 0, "gmt": 0,
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # hours  # fmt: skip
_DAYS: Final = 31  # in any month: the thirtieth of February is the first or second of March
_HOURS: Final = 24  # 24:00 is the end of a day
_TIME_PARTS: Final = 4  # hour, minute, second, millisecond
_SIXTY: Final = 60
_SECOND_MS: Final = 1000
_THIS_CENTURY_BELOW: Final = 50  # years of two digits
_FULL_YEAR_FROM: Final = 100
_CYCLE_YEARS: Final = 400  # after which the calendar repeats
_CYCLE_DAYS: Final = 146_097
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def date_ms(text: str) -> float:
    """Return a text as milliseconds since the epoch, UTC; NaN when it is no date."""
    match = _FORMAT.fullmatch(text)
    if match is None:
        try:
            return _Words(text).date_ms()
        except _NoDateError:
            return math.nan
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    fraction = match["fraction"] or ""
    if hour == _HOURS and (minute or second or fraction.strip("0")):
        return math.nan
    offset_hour, offset_minute = int(match["offset_hour"] or 0), int(match["offset_minute"] or 0)
    if offset_hour >= _HOURS or offset_minute >= _SIXTY:
        return math.nan
    offset = (offset_hour * _SIXTY + offset_minute) * (-1 if match["sign"] == "-" else 1)
    day = _Day(int(match["year"]), int(match["month"] or 1), int(match["day"] or 1))
    return _joined(day, [hour, minute, second, _milliseconds(fraction)], offset)


def days_before(now_ms: float, days: float) -> float:
    """Return the moment that many days before another, as `date.setDate(date.getDate() - days)` does.

    The day of the month is cut to a whole number only after the subtraction, which matters to half days.
    """
    if not math.isfinite(days):
        return math.nan
    today = date.fromordinal(_EPOCH_DAY + math.floor(now_ms / DAY_MS)).day
    return _within(now_ms + (math.trunc(today - days) - today) * DAY_MS)


class _Day(NamedTuple):
    year: int
    month: int
    day: int


class _NoDateError(Exception):
    """The text is no date."""


def _joined(day: _Day, time: list[int], offset_minutes: int) -> float:
    """Put a day, a time and an offset together, if there is such a moment."""
    hour, minute, second, millisecond = time
    if not (1 <= day.month <= len(_MONTHS) and 1 <= day.day <= _DAYS):
        return math.nan
    end_of_day = time == [_HOURS, 0, 0, 0]
    if minute >= _SIXTY or second >= _SIXTY or millisecond >= _SECOND_MS or (hour >= _HOURS and not end_of_day):
        return math.nan
    # Python's calendar begins in the year 1, this one long before.
    same = date(2000 + day.year % _CYCLE_YEARS, day.month, 1).toordinal()
    days = same - _EPOCH_DAY + (day.year // _CYCLE_YEARS - 2000 // _CYCLE_YEARS) * _CYCLE_DAYS + day.day - 1
    seconds = (hour * _SIXTY + minute - offset_minutes) * _SIXTY + second
    return _within(float(days * DAY_MS + seconds * _SECOND_MS + millisecond))


def _within(moment_ms: float) -> float:
    return moment_ms if abs(moment_ms) <= _DATE_MS_MAX else math.nan


def _milliseconds(fraction: str) -> int:
    return int(fraction[:3].ljust(3, "0"))


def _size(digits: str) -> int:
    """Return a number of any length; after nine digits it is too large for anything anyway."""
    return int(digits.lstrip("0")[:9] or "0")


class _Words:
    """What has been read of a text that is not in the format."""

    def __init__(self, text: str) -> None:
        beginning = _BEGINNING.match(text)
        self._text = text
        self._place = beginning.end() if beginning else 0
        # Of the day, in whatever order.
        self._numbers = [int(part) for part in beginning.groups() if part is not None] if beginning else []
        self._month: int | None = None  # by name
        self._time: list[int] = []
        self._noon: int | None = None
        self._zone_sign = 0
        self._zone_hour: int | None = None
        self._zone_minute: int | None = None
        self._has_number = bool(self._numbers)

    def date_ms(self) -> float:
        """Read all of it."""
        while (token := self._peek()) is not None:
            self._place = token.end()
            match token.lastgroup:
                case "number":
                    self._number(token[0])
                case "word":
                    self._word(token[0].lower())
                case "sign" if self._time or self._zone_hour == self._zone_minute == 0:
                    self._offset(token[0])
                case "comment":
                    self._skip_comment()
                case "sign" | "symbol" if self._has_number and token[0] in "+-)":
                    raise _NoDateError
        time = self._time + [0] * (4 - len(self._time))
        if self._noon is not None:
            if time[0] > 12:  # noqa: PLR2004  # hours of half a day
                return math.nan
            time[0] = time[0] % 12 + self._noon
        offset = (self._zone_hour or 0) * _SIXTY + (self._zone_minute or 0)
        return _joined(self._day(), time, offset * self._zone_sign)

    def _peek(self) -> "re.Match[str] | None":
        return _TOKEN.match(self._text, self._place)

    def _skip(self, symbol: str) -> bool:
        found = self._text.startswith(symbol, self._place)
        self._place += found
        return found

    def _skip_comment(self) -> None:
        depth = 1
        while depth and self._place < len(self._text):
            depth += {"(": 1, ")": -1}.get(self._text[self._place], 0)
            self._place += 1

    def _number(self, digits: str) -> None:
        self._has_number = True
        number = _size(digits)
        if self._skip(":"):
            doubled = self._skip(":")
            if len(self._time) == _TIME_PARTS or (doubled and self._time):
                raise _NoDateError
            self._time += [number, 0] if doubled else [number]
            if not doubled:
                self._skip(".")
        elif self._skip(".") and self._expects(number):
            fraction = self._peek()
            if fraction is None or fraction.lastgroup != "number":
                raise _NoDateError
            self._place = fraction.end()
            self._end_time(number, _milliseconds(fraction[0]))
        elif self._zone_hour is not None and self._zone_minute is None and number < _SIXTY:
            self._zone_minute = number
        elif self._expects(number):
            self._end_time(number)
            after = self._peek()
            if after is not None and after.lastgroup not in {"blank", "sign"} and after[0].lower() != "z":
                raise _NoDateError
        elif len(self._numbers) == len(_Day._fields):
            raise _NoDateError
        else:
            self._numbers.append(number)
            self._skip("-")

    def _expects(self, number: int) -> bool:
        """Whether a number may be the next part of a time that has begun."""
        limits = {1: _SIXTY, 2: _SIXTY, 3: _SECOND_MS}
        return number < limits.get(len(self._time), 0)

    def _end_time(self, *parts: int) -> None:
        time = [*self._time, *parts]
        self._time = (time + [0] * _TIME_PARTS)[:_TIME_PARTS]

    def _word(self, word: str) -> None:
        if word[:3] in _MONTHS:
            self._month = _MONTHS.index(word[:3]) + 1
            self._skip("-")
        elif word in _NOON and self._time:
            self._noon = _NOON[word]
        elif word in _ZONES and self._has_number:
            self._zone_sign = -1 if _ZONES[word] < 0 else 1
            self._zone_hour, self._zone_minute = abs(_ZONES[word]), 0
        elif self._has_number or self._digit_follows():
            raise _NoDateError  # other words may only come first, and not right before a number

    def _digit_follows(self) -> bool:
        after = self._peek()
        return after is not None and after.lastgroup == "number"

    def _offset(self, sign: str) -> None:
        """Read the offset from UTC that begins with this sign: hours, or hours and minutes."""
        after = self._peek()
        digits = after[0] if after is not None and after.lastgroup == "number" else ""
        self._place += len(digits)
        self._has_number = True
        self._zone_sign = -1 if sign == "-" else 1
        number = _size(digits)
        if self._text.startswith(":", self._place):
            self._zone_hour, self._zone_minute = number, None
        elif len(digits) in {1, 2}:
            self._zone_hour, self._zone_minute = number, 0
        elif len(digits) in {3, 4}:
            self._zone_hour, self._zone_minute = divmod(number, 100)
        else:
            raise _NoDateError

    def _day(self) -> _Day:
        """Return the numbers as year, month and day: by a month's name, else by whether the first could be a day."""
        if not self._numbers:
            raise _NoDateError
        first, second, third = (*self._numbers, 1, 1)[:3]
        is_day = 1 <= first <= _DAYS
        if self._month is None:
            year, month, day = (third, first, second) if is_day else (first, second, third)
        else:
            month = self._month
            year, day = (second, first) if is_day else (first, second)
        century = 2000 if 0 <= year < _THIS_CENTURY_BELOW else 1900 if 0 <= year < _FULL_YEAR_FROM else 0
        return _Day(year + century, month, day)
