"""The line of a pipeline file that would read values of some shapes: tables of shapes, and what reads each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bucket_loader.model import literal
from bucket_loader.runs.checking.questions import NULL_WORDS, filled, written
from bucket_loader.runs.checking.subjects import Subject


@dataclass(frozen=True)
class Shape:
    """A shape of values.

    Attributes:
        mask: the shape.
        count: in how many rows it is.
        first, second: the greatest of the first and of the second numbers in them: a 13 is no month.
    """

    mask: str
    count: int
    first: int | None = None
    second: int | None = None

    def __str__(self) -> str:
        return f"{self.mask} ({self.count:,} {'row' if self.count == 1 else 'rows'})"


@dataclass(frozen=True)
class Mend:
    """What reads values of a shape.

    Attributes:
        codes: what is wrong with the row.
        shape: a pattern of shapes.
        line: words of the field; `{column}` stands for the column.
        says: what the values look like.
        spares: whether it reads as well what is read without it.
    """

    codes: frozenset[str]
    shape: str
    line: Mapping[str, str]
    says: str = ""
    spares: bool = False


@dataclass(frozen=True)
class Advice:
    """What a person may do: what to ask or to know, and the line to write; either may be empty."""

    hint: str = ""
    line: str = ""


def advice_for(subject: Subject, code: str, shapes: Sequence[Shape], *, are_most: bool) -> Advice:
    """Return what reads values of these shapes, as far as it is known.

    Args:
        subject: their field.
        code: what is wrong with them.
        shapes: their shapes, the most frequent first.
        are_most: whether most rows are like them; else the others must be read as before.
    """
    nulls = [f'"{shape.mask}"' for shape in shapes if shape.mask in NULL_WORDS]
    others = [shape for shape in shapes if shape.mask not in NULL_WORDS]
    words = {"null_values": f"[{', '.join(nulls)}]"} if nulls else {}
    says, read = _read(subject, code, others, are_most=are_most) if others else ("", {})
    names = {"column": subject.in_sql, "words": subject.words, "money": _money(others[0].mask) if others else ""}
    if not words and not read:
        asks = "is it the right column? " if are_most and code in _EMPTY else ""
        return Advice(says or asks + filled(_OF_CODES.get(code, ""), names))
    if _lacks_zone(subject, read):
        words = {"timezone": "UTC"} | words
        says = f"{says}; are they in UTC?" if says else "are they in UTC?"
    return Advice(says, written(subject, {name: filled(text, names) for name, text in (read | words).items()}))


def _lacks_zone(subject: Subject, words: Mapping[str, str]) -> bool:
    """Whether these words make a moment of a text that has no zone, and none is written for it."""
    makes_time = subject.about == "time" and ("format" in words or "sql" in words)
    has_zone = any(sign in words.get("format", "") for sign in ("%z", "Z"))
    return makes_time and not has_zone and subject.spec.timezone is None and subject.stream.timezone is None


def _read(subject: Subject, code: str, shapes: Sequence[Shape], *, are_most: bool) -> tuple[str, dict[str, str]]:
    """Return what the most frequent shape looks like, and the words that read it."""
    for mend in _MENDS:
        if code in mend.codes and re.fullmatch(mend.shape, shapes[0].mask):
            return mend.says, dict(mend.line) if are_most or mend.spares else {}
    return _formats(subject, shapes, are_most=are_most) if code in _TIMES else ("", {})


TRUTHS: Final = (("ja", "nein"), ("oui", "non"), ("sí", "no"), ("si", "no"), ("on", "off"), ("active", "inactive"),
                 ("enabled", "disabled"))  # fmt: skip
_NUMBERS: Final = frozenset({"number", "integer"})
_TIMES: Final = frozenset({"timestamp", "date", "year", "range"})
# What stands beside a number and is no part of it. Other letters may be thousands (5k), and brackets a minus.
_MONEY: Final = "[$¢-¥֏฿₠-⃏]"
_BEFORE: Final = rf"(?:AAA|{_MONEY}|[ %+-])*"
_AFTER: Final = rf"(?:AAA|{_MONEY}|[ %])*"
_CURRENCIES: Final = "EUR|USD|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|BRL|MXN"


def _grouped(between: str, point: str) -> tuple[str, str]:
    """Return the pattern of shapes of numbers with these signs between thousands and before the fraction, and SQL.

    The SQL changes what is wholly such a number, and leaves all else to be read, or rejected, as it stands.
    """
    shape = rf"{_BEFORE}(?:9+|9{{1,3}}([{between} ]9{{3}})+)(?:[{point}]9+)?{_AFTER}"
    around = r"(?:{money}|[\s\p{Z}])*"
    digits = rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?:[{between}\p{{Z}}][0-9]{{3}})+)(?:[{point}][0-9]+)?"
    pattern = literal(f"[-+]?{around}[-+]?{digits}{around}")
    plain = f"regexp_replace({{column}}, '[^0-9{point}+-]', '', 'g')"
    plain = f"replace({plain}, ',', '.')" if point == "," else plain
    return shape, f"case when regexp_full_match({{column}}, {pattern}) then {plain} else {{column}} end"


def _money(mask: str) -> str:
    """Return the pattern of what stands beside the numbers of a shape."""
    kinds = {"%": "%", "AAA": _CURRENCIES, _MONEY: r"\p{Sc}"}
    return "|".join(pattern for sign, pattern in kinds.items() if re.search(sign, mask)) or r"\p{Sc}"


_BY_COMMA, _BY_COMMA_SQL = _grouped(".'", ",")
_BY_POINT, _BY_POINT_SQL = _grouped(",'", ".")
_THOUSANDS: Final = rf"{_BEFORE}9{{1,3}}(\.9{{3}})+{_AFTER}"

# The first that fits the most frequent shape is told.
_MENDS: Final = (
    Mend(frozenset({"integer"}), _THOUSANDS, {"sql": _BY_COMMA_SQL}, "does the point part thousands?", spares=True),
    Mend(frozenset({"integer"}), r"[+-]?9+\.9+", {"type": "number"}, "they have fractions", spares=True),
    Mend(
        _NUMBERS, rf"(?=.*,9+{_AFTER}$){_BY_COMMA}|{_THOUSANDS}",
        {"sql": _BY_COMMA_SQL, "type": "number"}, "a comma begins their fraction",
    ),
    Mend(_NUMBERS, _BY_POINT, {"sql": _BY_POINT_SQL, "type": "number"}, spares=True),
    Mend(
        _TIMES, r"9{5}(\.9+)?",
        {"sql": "timestamp '1899-12-30' + to_seconds(round(cast({column} as double) * 86400))"},
        "these look like a spreadsheet's days",
    ),
    Mend(_TIMES, r"9{10}(\.9+)?", {"unit": "s"}, "these look like seconds since 1970"),
    Mend(_TIMES, r"9{13}(\.9+)?", {"unit": "ms"}, "these look like milliseconds since 1970"),
    Mend(_TIMES, r"9{16}", {"unit": "us"}, "these look like microseconds since 1970"),
    Mend(_TIMES, r"9{19}", {"unit": "ns"}, "these look like nanoseconds since 1970"),
    *(
        Mend(
            frozenset({"boolean"}), f"{yes}|{no}",
            {"sql": f"case lower(trim({{column}})) when '{yes}' then 'yes' when '{no}' then 'no' else {{column}} end",
             "type": "boolean"}, spares=True,
        )
        for yes, no in TRUTHS
    ),
    Mend(frozenset({"boolean"}), r".*", {"sql": "lower({column}) in ('...')"}, "list the words that mean yes"),
)  # fmt: skip

_EMPTY: Final = frozenset({"missing", "blank"})
# Where no shape says more.
_OF_CODES: Final[dict[str, str]] = {
    "missing": "`where: {column} is not null` leaves these rows out",
    "blank": "`where: trim({column}) <> ''` leaves these rows out",
    "encoding": "is `encoding:` of the source right?",
    "width": "is `delimiter:` of the source right? are there line breaks in texts without quotes?",
    "expression": "`try_cast(... as ...)` in the expression makes null of what cannot be read",
    "inexact_id": "export the column as text, or as whole numbers",
}

# --- times ---------------------------------------------------------------------------------------------------------

_CLOCK: Final = (
    r"(?:(?P<join>[ T]|, )(?P<hour>99?):99(?P<second>:99)?(?P<fraction>[.,]9+)?"
    r"(?P<half> ?(?:AA|aa))?(?P<zone> ?(?:A|[+-]99(?::?99)?))?)?"
)
_DATES: Final = (
    (r"9999(?P<sep>[-/.])99?(?P=sep)99?", "%Y{sep}%m{sep}%d"),
    (r"(?P<either>99?)(?P<sep>[-/.])99?(?P=sep)(?P<year>9999|99)", ""),
    (r"99?(?P<sep>[ -])Aaa(?P=sep)9999", "%d{sep}%b{sep}%Y"),
    (r"99?(?P<sep> )A(?:aaa…|a*) 9999", "%d{sep}%B{sep}%Y"),
    (r"Aaa(?P<sep> )99?, 9999", "%b %d, %Y"),
    (r"A(?:aaa…|a*)(?P<sep> )99?, 9999", "%B %d, %Y"),
    (r"(?P<sep>)9{8}", "%Y%m%d"),
)
_MONTHS: Final = 12


def _formats(subject: Subject, shapes: Sequence[Shape], *, are_most: bool) -> tuple[str, dict[str, str]]:
    """Return the formats of times of these shapes, in the order in which they are frequent."""
    found = [one for one in map(_format, shapes) if one is not None]
    known = subject.spec.format or []
    new = list(dict.fromkeys(form for form, _ in found if form not in known and (known or not _ISO.fullmatch(form))))
    if not found:
        return "", {}
    if not new:
        return "are there such days and hours? no 30 February is, and no hour 25", {}
    says = next((says for _, says in found if says), "")
    if any("%y" in form for form in new):  # whose century is not certain, so that `format:` does not take it
        return says, {"sql": f"strptime({{column}}, '{new[0]}')"} if are_most else {}
    is_other_order = any(_swapped(form) in known for form in new)
    if are_most or is_other_order:
        return says, {"format": _listed(new)}
    if known:
        return says, {"format": _listed([*known, *new])}
    return f"their form is {_listed(new)}, and `format:` takes a list of all forms that there are", {}


_ISO: Final = re.compile(r"%Y-%m-%d([T ]%H:%M(:%S([.,]%[fn])?)?( ?(Z|%z))?)?")


def _swapped(form: str) -> str:
    """Return a format with day and month in the other order."""
    return re.sub(r"%([dm])(.)%([dm])", r"%\3\2%\1", form)


def _listed(formats: Sequence[str]) -> str:
    quoted = [f'"{form}"' for form in formats]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


def _format(shape: Shape) -> tuple[str, str] | None:
    """Return the format of a shape, and what there is to say of it; None where it is no time's."""
    for pattern, form in _DATES:
        if (found := re.fullmatch(pattern + _CLOCK, shape.mask)) is not None:
            day, says = (form, "") if form else _order(found["sep"], shape, is_long=found["year"] == "9999")
            return day.replace("{sep}", found["sep"]) + _clock(found), says
    return None


def _order(sep: str, shape: Shape, *, is_long: bool) -> tuple[str, str]:
    """Return the order of day and month; a number above 12 says it, and a point is written behind days alone."""
    year = "%Y" if is_long else "%y"
    day_first, month_first = f"%d{{sep}}%m{{sep}}{year}", f"%m{{sep}}%d{{sep}}{year}"
    if (shape.second or 0) > _MONTHS:
        return month_first, "the month comes first"
    if (shape.first or 0) > _MONTHS or sep == ".":
        return day_first, "the day comes first"
    return day_first, "does the day come first, or the month (%m before %d)?"


def _clock(found: re.Match[str]) -> str:
    if found["hour"] is None:
        return ""
    fraction = found["fraction"] or ""
    parts = [found["join"], "%I" if found["half"] else "%H", ":%M", ":%S" if found["second"] else ""]
    parts.append(fraction[:1] + ("%f" if len(fraction) <= len(".999999") else "%n") if fraction else "")
    parts.append(f"{' ' if (found['half'] or '').startswith(' ') else ''}%p" if found["half"] else "")
    zone = found["zone"] or ""
    parts.append(zone[: len(zone) - len(zone.lstrip())] + ("Z" if zone.strip() == "A" else "%z") if zone else "")
    return "".join(parts)


# --- scores --------------------------------------------------------------------------------------------------------

_USUAL: Final = 5
_LIKERT: Final = 7
_NPS: Final = 10
_TOPS: Final = (1, 3, _USUAL, _LIKERT, _NPS, 20, 100, 1_000)


def scale_for(subject: Subject, least: float, greatest: float, *, are_few: bool) -> Advice:
    """Return the line for scores of another scale.

    Args:
        subject: their field.
        least: the least score that there is.
        greatest: the greatest.
        are_few: whether all but a few fit: then these may be mistakes.
    """
    top = next((top for top in _TOPS if greatest <= top), None)
    if top is None or least < 0:
        return Advice("is it a score at all?")
    begins_at = 1 if top in {_USUAL, _LIKERT} and least >= 1 else 0
    if are_few:
        return Advice(f"are these few mistakes? if not, write `scale: [{begins_at}, {top}]` on the field")
    other = f"if it begins at 1, it is [1, {top}]" if top == _NPS and least > 0 else ""
    return Advice(other, subject.line(scale=f"[{begins_at}, {top}]"))
