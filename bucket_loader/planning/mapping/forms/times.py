"""The forms of moments, dates and durations."""

from typing import Final

from bucket_loader.config import FieldSpec, directives
from bucket_loader.model import Code, UsageError, literal
from bucket_loader.planning.mapping.forms.form import UNPARSED, Family, Form, Wrong, of_json
from bucket_loader.planning.mapping.forms.numbers import NUMBER_TEXT, trimmed
from bucket_loader.planning.mapping.forms.zone_offsets import at_once
from bucket_loader.planning.mapping.forms.zone_words import with_zone_word

_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d{1,9})?)?"
_LOCAL_TEXT = rf"{_DATE}([T ]{_TIME})?"
_ZONED_TEXT = rf"{_DATE}[T ]{_TIME} ?(Z|z|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
_STAMP = "strftime({v}, '%Y-%m-%dT%H:%M:%S.%gZ')"


def _believable(moment: str) -> str:
    return f"({moment} >= TIMESTAMP '1000-01-01' AND {moment} < TIMESTAMP '9999-12-31')"


_YEARS = Wrong(
    f"{{v}} IS NOT NULL AND NOT {_believable('{v}')}",
    "year",
    "has a year that is not between 1000 and 9998",
)
_EPOCH_MICROSECONDS: Final = {"s": "1000000", "ms": "1000", "us": "1", "ns": "0.001"}


def timestamp(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    """Read a moment: `v` is a TIMESTAMP in UTC, cut to milliseconds when it is spelt.

    `spec.timezone` and `spec.dst` are the field's own, or the stream's where the field has none.
    """
    match of:
        case "zoned":
            form = Form(parsed=_microseconds(duckdb_type))
        case "timestamp" | "date":
            _require_timezone(spec, place, f"a {of} without a time zone")
            form = Form(
                parsed=_microseconds(duckdb_type), value=to_utc("{p}", spec.timezone, spec.dst), wrong=(_LOCAL_WRONG,)
            )
        case "integer" | "float" | "decimal":
            if spec.unit is None:
                raise UsageError(
                    f"{place}: a number is no moment without its unit", hint="write `unit: s`, ms, us or ns"
                )
            form = _epoch("{n}", spec.unit)
        case "text":
            form = _timestamp_text(spec, place)
        case "json":
            form = of_json(_timestamp_text(spec, place))
        case "null":
            form = Form(parsed="CAST({n} AS TIMESTAMP)")
        case _:
            raise UsageError(f"{place}: a {of} cannot be read as a timestamp", hint="use `sql:` to convert it")
    stamped = "'\"' || " + _STAMP + " || '\"'"
    return Form(form.parsed, form.value, stamped, _STAMP, (*form.wrong, _YEARS))


def _microseconds(duckdb_type: str) -> str:
    """Return `{n}` as a TIMESTAMP; DuckDB's cast cuts nanoseconds before 1970 upwards, into the next millisecond."""
    if duckdb_type not in {"TIMESTAMP_NS", "TIMESTAMPTZ_NS"}:
        return "CAST({n} AS TIMESTAMP)"
    return f"coalesce({_cut('{n}')}, CASE WHEN {{n}} IS NOT NULL THEN TIMESTAMP 'infinity' END)"


def _cut(nanoseconds: str) -> str:
    """Cut nanoseconds to a TIMESTAMP, downwards; NULL where it is infinite."""
    number = f"epoch_ns({nanoseconds})"
    return f"make_timestamp(({number} - (({number} % 1000) + 1000) % 1000) // 1000)"


def _require_timezone(spec: FieldSpec, place: str, what: str) -> None:
    if spec.timezone is None:
        raise UsageError(
            f"{place}: {what} is no moment",
            hint="write `timezone: UTC`, or the zone it is in, on the field or the stream",
        )


def _expected(spec: FieldSpec) -> str:
    return "in the form that `format:` says" if spec.format else "as ISO 8601 writes it; `format:` says another form"


def _timestamp_text(spec: FieldSpec, place: str) -> Form:
    unparsed = Wrong(UNPARSED, "timestamp", f"is not a timestamp {_expected(spec)}")
    if spec.unit is not None:
        number = f"CASE WHEN regexp_full_match(trim({{n}}), '{NUMBER_TEXT}') THEN trim({{n}}) END"
        return _epoch(number, spec.unit)
    if spec.format is None:
        return _iso_text(spec, unparsed)
    zoned = [form for form in spec.format if {"%z", "%Z"} & set(directives(form))]
    local = [form for form in spec.format if form not in zoned]
    if local:
        _require_timezone(spec, place, "a text without a time zone")
    # A list of two: what is a moment already, and what still has to be moved to UTC.
    # One by one: in a list, a form with %Z ends the search where it fails on the zone.
    moment, naive = (f"coalesce({', '.join(['CAST(NULL AS TIMESTAMP)', *map(_read, forms)])})"
                     for forms in (zoned, local))  # fmt: skip
    return _two_ways(moment, naive, spec, (unparsed,))


def _read(form: str) -> str:
    if "%Z" in directives(form):
        return with_zone_word(form)
    read = f"try_strptime({{n}}, {literal(form)})"
    return _cut(read) if "%n" in directives(form) else f"CAST({read} AS TIMESTAMP)"


def _iso_text(spec: FieldSpec, unparsed: Wrong) -> Form:
    zoned = f"regexp_full_match(trim({{n}}), '{_ZONED_TEXT}')"
    local = f"regexp_full_match(trim({{n}}), '{_LOCAL_TEXT}')"
    dotted = "replace(trim({n}), ',', '.')"
    joined = f"regexp_replace(upper({dotted}), ' ([Z+-])', '\\1')"
    moment = f"CASE WHEN {zoned} THEN CAST(TRY_CAST({joined} AS TIMESTAMPTZ) AS TIMESTAMP) END"
    naive = f"CASE WHEN {local} THEN TRY_CAST({dotted} AS TIMESTAMP) END"
    if spec.timezone is None:
        missing = Wrong(f"{{n}} IS NOT NULL AND {local}", "timezone", "has no time zone")
        return Form(
            parsed=moment, wrong=(missing, Wrong(f"{UNPARSED} AND NOT ({local})", unparsed.code, unparsed.message))
        )
    return _two_ways(moment, naive, spec, (unparsed,))


def _two_ways(moment: str, naive: str, spec: FieldSpec, wrong: tuple[Wrong, ...]) -> Form:
    if spec.timezone in {None, "UTC", "Etc/UTC"}:
        return Form(parsed=f"coalesce({naive}, {moment})", wrong=wrong)  # never both; the likelier one first
    parsed = f"CASE WHEN {{n}} IS NOT NULL THEN struct_pack(m := {moment}, l := {naive}) END"
    unparsed = wrong[0]
    neither = Wrong("{n} IS NOT NULL AND {p}.m IS NULL AND {p}.l IS NULL", unparsed.code, unparsed.message)
    local = Wrong("{n} IS NOT NULL AND {p}.l IS NOT NULL AND {v} IS NULL", *_LOCAL_TIME)
    return Form(
        parsed=parsed, value=f"coalesce({{p}}.m, {to_utc('{p}.l', spec.timezone, spec.dst)})", wrong=(neither, local)
    )


_LOCAL_TIME: Final[tuple[Code, str]] = (
    "local_time",
    "is a local time that does not exist or exists twice (clock change); `dst: earliest` or `latest` decides",
)


_LOCAL_WRONG: Final = Wrong("{p} IS NOT NULL AND {v} IS NULL", *_LOCAL_TIME)


def to_utc(local: str, timezone: str | None, dst: str | None) -> str:
    """Move a local time to UTC; NULL where the clock change makes it none or two, unless `dst` decides."""
    if timezone in {None, "UTC", "Etc/UTC"}:
        return local
    return f"coalesce({at_once(local, str(timezone))}, {by_days_around(local, str(timezone), dst)})"


def by_days_around(local: str, timezone: str, dst: str | None) -> str:
    """Move any local time to UTC, as `to_utc` says.

    The offsets a day before and a day after give the two candidates; each is right when it shows the same local time.
    """
    zone = literal(timezone)

    def shown(moment: str) -> str:
        return f"timezone({zone}, timezone('UTC', {moment}))"

    def candidate(day: str) -> str:
        return f"({local} - ({shown(f'({local} {day})')} - ({local} {day})))"

    before, after = candidate("- INTERVAL 1 DAY"), candidate("+ INTERVAL 1 DAY")
    decided = {"earliest": f"least({before}, {after})", "latest": f"greatest({before}, {after})", None: "NULL"}[dst]
    first, second = f"{shown(before)} = {local}", f"{shown(after)} = {local}"
    # Outside these years the arithmetic overflows; `_YEARS` refuses such a moment as it is.
    return (
        f"CASE WHEN NOT {_believable(local)} THEN {local} "
        f"WHEN {before} = {after} AND {first} THEN {before} "
        f"WHEN {first} AND NOT ({second}) THEN {before} WHEN {second} AND NOT ({first}) THEN {after} ELSE {decided} END"
    )


def _epoch(number: str, unit: str) -> Form:
    micros = f"TRY_CAST(floor(TRY_CAST({number} AS DECIMAL(28, 6)) * {_EPOCH_MICROSECONDS[unit]}) AS BIGINT)"
    bounded = f"{micros} BETWEEN -30000000000000000 AND 253000000000000000"  # years 1019 to 9987, in microseconds
    return Form(
        parsed=f"CASE WHEN {bounded} THEN make_timestamp({micros}) END",
        wrong=(Wrong(UNPARSED, "timestamp", f"is not a number of {unit} since 1970 in a believable year"),),
    )


def date_form(parsed: str, wrong: tuple[Wrong, ...]) -> Form:
    """Return the form of a date that `parsed` reads."""
    years = Wrong(
        "{v} IS NOT NULL AND NOT ({v} >= DATE '1000-01-01' AND {v} <= DATE '9999-12-31')",
        _YEARS.code,
        "has a year that is not between 1000 and 9999",
    )
    shown = "strftime({v}, '%Y-%m-%d')"
    return Form(parsed=parsed, json="'\"' || " + shown + " || '\"'", text=shown, wrong=(*wrong, years))


def date(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    """Read a date; a moment is a date in the zone of the field."""
    unparsed = (Wrong(UNPARSED, "date", f"is not a date {_expected(spec)}"),)
    match of:
        case "date" | "null":
            return date_form("CAST({n} AS DATE)", ())
        case "timestamp":
            return date_form(f"CAST({_microseconds(duckdb_type)} AS DATE)", ())
        case "zoned":
            moment = f"timezone('UTC', {_microseconds(duckdb_type)})"
            local = f"timezone({literal(spec.timezone or 'UTC')}, {moment})"
            return date_form(f"CAST({local} AS DATE)", ())
        case "text" if spec.format is not None:
            if any("%Z" in directives(form) for form in spec.format):
                return date_form(f"CAST(coalesce(NULL, {', '.join(map(_read, spec.format))}) AS DATE)", unparsed)
            return date_form(f"CAST(try_strptime({{n}}, {_listed(spec.format)}) AS DATE)", unparsed)
        case "text":
            iso = f"CASE WHEN regexp_full_match(trim({{n}}), '{_DATE}') THEN TRY_CAST(trim({{n}}) AS DATE) END"
            return date_form(iso, unparsed)
        case "json":
            return of_json(date("text", "VARCHAR", spec, place))
        case _:
            raise UsageError(f"{place}: a {of} cannot be read as a date", hint="use `sql:` to convert it")


def duration(interval: str) -> str:
    """Spell a duration as PostgreSQL does, in ISO 8601: `P1Y2DT3.5S`; one of nothing is `PT0S`."""

    def part(unit: str) -> str:
        return f"datepart('{unit}', {interval})"

    def spelt(unit: str, letter: str) -> str:
        return f"CASE WHEN {part(unit)} <> 0 THEN {part(unit)} || '{letter}' ELSE '' END"

    exact = f"CAST({part('microsecond')} AS DECIMAL(12, 0)) * CAST(0.000001 AS DECIMAL(7, 6))"
    second = f"CASE WHEN {part('microsecond')} <> 0 THEN {trimmed(f'CAST({exact} AS VARCHAR)')} || 'S' ELSE '' END"
    day = " || ".join([spelt("year", "Y"), spelt("month", "M"), spelt("day", "D")])
    clock = " || ".join([spelt("hour", "H"), spelt("minute", "M"), second])
    # `P` alone has no part, and `T` at the end nothing behind it.
    return (
        f"coalesce(nullif(rtrim('P' || {day} || 'T' || {clock}, 'T'), 'P'), CASE WHEN {interval} IS NOT NULL "
        "THEN 'PT0S' END)"
    )


def _listed(texts: list[str]) -> str:
    return "[" + ", ".join(map(literal, texts)) + "]"
