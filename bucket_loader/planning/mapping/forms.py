"""The forms of values on the wire, as SQL: each type of a source, each type that a person may ask for.

A value passes three levels of the SELECT, each named by a letter and the value's number: `n` is the column with its
null values made null, `p` is that parsed to a type, `v` is the value sent. A `Form` says what `p` and `v` are, when a
row is wrong, and how `v` is spelt in JSON. The same value has the same spelling from every source: numbers in their
shortest form, whole ones without a point, those beyond a double's certainty as exact text.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal

from bucket_loader.config import FieldSpec, directives
from bucket_loader.model import UsageError

Family = Literal[
    "text", "integer", "float", "decimal", "boolean", "timestamp", "zoned", "date", "time", "binary", "uuid", "json",
    "null", "nested", "interval", "other",
]  # fmt: skip

ListOf = Literal["booleans", "texts"]  # the lists of a feature event

INTEGER_MAX: Final = 2**53 - 1  # beyond it a JSON number is not certain in JavaScript
DIGITS_MAX: Final = 15  # significant digits that every double keeps
TINY_MIN: Final = "2.3e-308"  # below it a double loses digits
WHOLE_MAX: Final = "1e37"  # from here on a double is sent in its shortest form, since no type of DuckDB holds it whole

_FAMILIES: Final[dict[str, Family]] = {
    "VARCHAR": "text",
    "TINYINT": "integer",
    "SMALLINT": "integer",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "HUGEINT": "integer",
    "UTINYINT": "integer",
    "USMALLINT": "integer",
    "UINTEGER": "integer",
    "UBIGINT": "integer",
    "UHUGEINT": "integer",
    "FLOAT": "float",
    "DOUBLE": "float",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "zoned",
    "TIMESTAMPTZ_NS": "zoned",
    "DATE": "date",
    "TIME": "time",
    "TIME_NS": "time",
    "BLOB": "binary",
    "UUID": "uuid",
    "INTERVAL": "interval",
    "JSON": "json",
    '"NULL"': "null",
    "NULL": "null",
}

TRUE_WORDS: Final = ("true", "t", "yes", "y", "1")
FALSE_WORDS: Final = ("false", "f", "no", "n", "0")

_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d{1,9})?)?"
_LOCAL_TEXT = rf"{_DATE}([T ]{_TIME})?"
_ZONED_TEXT = rf"{_DATE}[T ]{_TIME} ?(Z|z|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
_INTEGER_TEXT = r"[+-]?\d+(\.0*)?"
_PLAIN_NUMBER = r"0|-?[1-9]\d{0,14}|-?[1-9]\d*\.\d*[1-9]|-?0\.0{0,2}[1-9](\d*[1-9])?"
_NUMBER_TEXT = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?"


def family(duckdb_type: str) -> Family:
    """Return the family of a DuckDB type by its name."""
    if duckdb_type.startswith("DECIMAL"):
        return "decimal"
    if duckdb_type.startswith("ENUM"):
        return "text"
    if duckdb_type.endswith("]") or duckdb_type.startswith(("STRUCT", "MAP", "UNION")):
        return "nested"
    return _FAMILIES.get(duckdb_type, "other")


@dataclass(frozen=True)
class Wrong:
    """When a row is wrong: a predicate that is never NULL, and what to say of it."""

    predicate: str
    code: str
    message: str


@dataclass(frozen=True)
class Form:
    """How one value goes through the SELECT. `{n}`, `{p}` and `{v}` stand for the levels before.

    Attributes:
        parsed: `p` in terms of `{n}`.
        value: `v` in terms of `{p}`.
        json: JSON text in terms of `{v}`; NULL when the value is.
        text: plain text in terms of `{v}`, for ids and keys.
        wrong: what makes a row wrong, in terms of all three.
    """

    parsed: str = "{n}"
    value: str = "{p}"
    json: str = "CAST(to_json({v}) AS VARCHAR)"
    text: str = "{v}"
    wrong: tuple[Wrong, ...] = field(default=())


# Most texts are told from a blank by their first letter, a tenth of the work of trimming them.
BLANK: Final = "CASE WHEN {0} < '!' THEN trim({0}, ' \t\r\n') = '' ELSE false END"
BLANK_MESSAGE: Final = "is blank, which identifies nothing"
_UNPARSED = "{n} IS NOT NULL AND {p} IS NULL"
_NUL = Wrong("{v} IS NOT NULL AND contains({v}, chr(0))", "nul", "holds a NUL character")
_TEXT = Form(wrong=(_NUL,))
_QUOTED = "'\"' || {v} || '\"'"


def natural(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:  # noqa: C901  # a table of types
    """Return the form of a value for which no type is asked."""
    match of:
        case "text":
            return _TEXT
        case "integer":
            return _integer(duckdb_type)
        case "float":
            return _float()
        case "decimal":
            return _decimal()
        case "boolean":
            return Form(json="CAST({v} AS VARCHAR)", text="CAST({v} AS VARCHAR)")
        case "timestamp" | "zoned":
            return timestamp(of, duckdb_type, spec, place)
        case "date":
            return _date_form("{n}", ())
        case "json":
            raise UsageError(
                f"{place}: JSON has no form of its own",
                hint="write `->>` in the expression to take text out of it, or CAST it to VARCHAR",
            )
        case "time" | "uuid" | "null":
            return Form(value="CAST({p} AS VARCHAR)")
        case "interval":
            return Form(value=_span("{p}"))
        case "binary":
            raise UsageError(
                f"{place}: binary has no form of its own",
                hint="write `type: string` with `encoding: utf8`, `hex` or `base64`, or exclude the column",
            )
        case _:
            raise UsageError(
                f"{place}: the type {duckdb_type} has no form on the wire",
                hint="give it one with `sql:`, for example a CAST, or exclude the column",
            )


def typed(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    """Return the form of a value for the type that the field asks for."""
    if spec.hash is not None:
        return string(of, duckdb_type, spec, place)
    match spec.type:
        case None:
            return natural(of, duckdb_type, spec, place)
        case "string":
            return string(of, duckdb_type, spec, place)
        case "integer":
            return integer(of, place)
        case "number" if of == "json":
            return _of_json(_number_text())
        case "number":
            return (
                _number_text() if of == "text" else _only(of, ("integer", "float", "decimal"), duckdb_type, spec, place)
            )
        case "boolean":
            return boolean(of, place)
        case "timestamp":
            return timestamp(of, duckdb_type, spec, place)
        case "date":
            return _date(of, duckdb_type, spec, place)
        case _:
            raise UsageError(f"{place}: `type: json` reads text or nested columns", hint="remove `type:`")


# A text of JSON is its content, anything else its spelling.
_JSON_TEXT: Final = (
    "CASE json_type({n}) WHEN 'VARCHAR' THEN {n} ->> '$' WHEN 'NULL' THEN NULL ELSE CAST({n} AS VARCHAR) END"
)


def _of_json(form: Form) -> Form:
    """Read JSON by the form of its text."""

    def inner(template: str) -> str:
        return template.replace("{n}", f"({_JSON_TEXT})")

    wrong = tuple(Wrong(inner(one.predicate), one.code, one.message) for one in form.wrong)
    return Form(inner(form.parsed), form.value, form.json, form.text, wrong)


def _only(of: Family, allowed: tuple[Family, ...], duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    if of not in allowed:
        raise UsageError(f"{place}: a {of} cannot be read as a {spec.type}", hint="use `sql:` to convert it")
    return natural(of, duckdb_type, spec, place)


# --- numbers -------------------------------------------------------------------------------------------------------


def _integer(duckdb_type: str) -> Form:
    plain = "CAST({v} AS VARCHAR)"
    if duckdb_type in {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}:
        return Form(json=plain, text=plain)
    within = f"{{v}} BETWEEN -{INTEGER_MAX} AND {INTEGER_MAX}"
    return Form(json=f"CASE WHEN {within} THEN {plain} ELSE '\"' || {plain} || '\"' END", text=plain)


def _float() -> Form:
    whole = "{v} = trunc({v}) AND CAST(abs({v}) AS DOUBLE)"  # a FLOAT would round what it is compared with
    integer = "CAST(CAST({v} AS HUGEINT) AS VARCHAR)"
    small = "CAST(CAST({v} AS BIGINT) AS VARCHAR)"
    # The text of a FLOAT is its own shortest; as a DOUBLE it would grow a tail (0.1 -> 0.10000000149011612).
    text = "CAST({v} AS VARCHAR)"
    return Form(
        value="CASE WHEN isfinite({p}) THEN {p} END",
        json=f"CASE WHEN {whole} <= {INTEGER_MAX} THEN {small} "
        f"WHEN {whole} < {WHOLE_MAX} THEN '\"' || {integer} || '\"' ELSE {text} END",
        text=f"CASE WHEN {whole} < {WHOLE_MAX} THEN {integer} ELSE {text} END",
        wrong=(Wrong("{p} IS NOT NULL AND isinf({p})", "infinity", "is infinite, which JSON cannot say"),),
    )


def _exact(text: str) -> str:
    """Return the JSON of an exact decimal text: a double's shortest form where every double keeps it, else quoted."""
    digits = f"length(replace(ltrim(replace({text}, '.', ''), '-0'), '-', ''))"
    double = f"TRY_CAST({text} AS DOUBLE)"
    whole = f"{digits} < 16 OR abs(TRY_CAST({text} AS HUGEINT)) <= {INTEGER_MAX}"
    return (
        f"CASE WHEN NOT contains({text}, '.') AND ({whole}) THEN {text} "
        f"WHEN contains({text}, '.') AND {digits} <= {DIGITS_MAX} AND abs({double}) >= {TINY_MIN} "
        f"THEN CAST({double} AS VARCHAR) ELSE '\"' || {text} || '\"' END"
    )


def _trimmed(text: str) -> str:
    """Return a decimal's text without the zeros that say nothing: 1.10 -> 1.1, 2.00 -> 2, -0 -> 0."""
    shorter = f"CASE WHEN contains({text}, '.') THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"
    return f"CASE WHEN {shorter} IN ('-0', '') THEN '0' ELSE {shorter} END"


def _decimal() -> Form:
    return Form(value=_trimmed("CAST({p} AS VARCHAR)"), json=_exact("{v}"))


def _number_text() -> Form:
    """Read a number from text, exactly: written out, whatever its exponent, below `WHOLE_MAX`."""
    text, double, signed = "trim({n})", "TRY_CAST(trim({n}) AS DOUBLE)", f"({_signed('{p}')})"
    return Form(
        parsed=f"CASE WHEN {_is_plain('{n}')} THEN {{n}} "
        f"WHEN NOT regexp_full_match({text}, '{_NUMBER_TEXT}') THEN NULL "
        f"WHEN NOT contains({text}, 'e') AND NOT contains({text}, 'E') THEN {text} "
        f"WHEN NOT isfinite({double}) THEN NULL "
        f"WHEN abs({double}) >= {WHOLE_MAX} THEN CAST({double} AS VARCHAR) ELSE {_written_out(text)} END",
        value=f"CASE WHEN {_is_plain('{p}')} OR contains({{p}}, 'e') THEN {{p}} ELSE {_trimmed(signed)} END",
        json=f"CASE WHEN {_is_plain('{v}')} OR contains({{v}}, 'e') THEN {{v}} ELSE {_exact('{v}')} END",
        wrong=(Wrong(_UNPARSED, "number", "is not a number"),),
    )


def _is_plain(text: str) -> str:
    """Return SQL for whether a number's text is its form already, as most are: no exponent, 15 digits, none idle.

    Every double keeps 15 digits, so that its shortest form is this very text. Below 0.001 that has an exponent.
    """
    return f"(strlen({text}) <= 16 AND regexp_full_match({text}, '{_PLAIN_NUMBER}'))"


def _signed(text: str) -> str:
    """Return a plain number's text with one sign at the most, and one zero before its point: +007 -> 7, -.5 -> -0.5."""
    unsigned = f"ltrim(ltrim({text}, '+-'), '0')"
    sign = f"CASE WHEN starts_with({text}, '-') THEN '-' ELSE '' END"
    zero = f"CASE WHEN {unsigned} = '' OR starts_with({unsigned}, '.') THEN '0' ELSE '' END"
    return f"{sign} || {zero} || {unsigned}"


def _written_out(text: str) -> str:
    """Return the text of a number with an exponent, without it: -1.5e3 -> -1500.0, 25e-3 -> 0.025."""
    mantissa = f"regexp_extract({text}, '^[+-]?([0-9.]*)', 1)"
    whole, fraction = f"split_part({mantissa}, '.', 1)", f"split_part({mantissa}, '.', 2)"
    exponent = f"CAST(regexp_extract({text}, '[eE](.*)$', 1) AS INTEGER)"
    # Zeros on both sides, so that the point has digits to move over; how far it may move is in `_NUMBER_TEXT`.
    digits = f"repeat('0', greatest(-({exponent}), 0)) || {whole} || {fraction} || repeat('0', greatest({exponent}, 0))"
    point = f"length({whole}) + greatest(-({exponent}), 0) + ({exponent})"
    sign = f"CASE WHEN starts_with({text}, '-') THEN '-' ELSE '' END"
    return f"({sign} || left({digits}, {point}) || '.' || substr({digits}, {point} + 1))"


def integer(of: Family, place: str) -> Form:
    """Read a whole number; what has a fraction is refused, never cut."""
    wrong = (Wrong(_UNPARSED, "integer", "is not a whole number"),)
    shown = _integer("HUGEINT")
    match of:
        case "text":
            whole = "CASE WHEN contains({n}, '.') THEN regexp_replace(trim({n}), '\\.0*$', '') ELSE trim({n}) END"
            parsed = (
                f"CASE WHEN regexp_full_match(trim({{n}}), '{_INTEGER_TEXT}') THEN TRY_CAST({whole} AS HUGEINT) END"
            )
        case "integer" | "boolean":
            parsed = "TRY_CAST({n} AS HUGEINT)"
        case "float":
            parsed = "CASE WHEN {n} = trunc({n}) THEN TRY_CAST({n} AS HUGEINT) END"
        case "decimal":
            parsed = "CASE WHEN {n} = trunc({n}) THEN TRY_CAST({n} AS HUGEINT) END"
        case "null":
            parsed = "CAST({n} AS HUGEINT)"
        case "json":
            return _of_json(integer("text", place))
        case _:
            raise UsageError(f"{place}: a {of} cannot be read as an integer", hint="use `sql:` to convert it")
    return Form(parsed=parsed, json=shown.json, text=shown.text, wrong=wrong)


def boolean(of: Family, place: str) -> Form:
    """Read a truth value from the words that mean one, and from nothing else."""
    shown = "CAST({v} AS VARCHAR)"
    match of:
        case "text":
            word = "lower(trim({n}))"
            true, false = (", ".join(f"'{word_}'" for word_ in words) for words in (TRUE_WORDS, FALSE_WORDS))
            parsed = f"CASE WHEN {word} IN ({true}) THEN true WHEN {word} IN ({false}) THEN false END"
        case "integer" | "decimal" | "float":
            parsed = "CASE WHEN {n} = 1 THEN true WHEN {n} = 0 THEN false END"
        case "boolean" | "null":
            parsed = "CAST({n} AS BOOLEAN)"
        case "json":
            return _of_json(boolean("text", place))
        case _:
            raise UsageError(f"{place}: a {of} cannot be read as a boolean", hint="use `sql:` to convert it")
    words = ", ".join((*TRUE_WORDS, *FALSE_WORDS))
    return Form(
        parsed=parsed, json=shown, text=shown, wrong=(Wrong(_UNPARSED, "boolean", f"is none of {words} (in any case)"),)
    )


# --- text ----------------------------------------------------------------------------------------------------------


def string(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    """Return any value as text, in the spelling that it has on the wire; hashed where the field asks for it."""
    form = _string(of, duckdb_type, spec, place)
    if spec.hash is None:
        return form
    spelt = _spelt(form)
    hashed = f"sha256({spelt.value})" if spec.hash == "sha256" else _HMAC.replace("{text}", spelt.value)
    return Form(spelt.parsed, hashed, wrong=spelt.wrong)


# HMAC-SHA256 (RFC 2104). The key is in variables of the connection, so that no statement and no error shows it.
_HMAC: Final = "sha256(getvariable('hmac_outer') || unhex(sha256(getvariable('hmac_inner') || encode({text}))))"
_BLOCK: Final = 64  # bytes that SHA-256 works on


def hmac_blocks(key: bytes) -> dict[str, bytes]:
    """Return the two blocks that an HMAC begins its hashes with, by their variables' names."""
    key = hashlib.sha256(key).digest() if len(key) > _BLOCK else key
    padded = key.ljust(_BLOCK, b"\0")
    return {"hmac_inner": bytes(byte ^ 0x36 for byte in padded), "hmac_outer": bytes(byte ^ 0x5C for byte in padded)}


def _spelt(form: Form) -> Form:
    """Return a form whose value is its text, whatever type it had."""

    def inlined(template: str) -> str:
        return template.replace("{v}", f"({form.value})")

    wrong = tuple(Wrong(inlined(one.predicate), one.code, one.message) for one in form.wrong)
    return Form(form.parsed, inlined(form.text), wrong=wrong)


def _string(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    if of == "json":
        return Form(parsed=_JSON_TEXT, wrong=(_NUL,))
    if of == "binary":
        match spec.encoding:
            case "hex":
                return Form(value="lower(hex({p}))")
            case "base64":
                return Form(value="base64({p})")
            case "utf8":
                return Form(parsed="TRY(decode({n}))", wrong=(Wrong(_UNPARSED, "encoding", "is not UTF-8"), _NUL))
            case _:
                return natural(of, duckdb_type, spec, place)
    form = natural(of, duckdb_type, spec, place)
    if of in {"integer", "float", "boolean"}:
        return Form(form.parsed, form.value, f"CAST(to_json({form.text}) AS VARCHAR)", form.text, form.wrong)
    if of in {"timestamp", "zoned", "date"}:
        return form
    return Form(form.parsed, form.value, "CAST(to_json({v}) AS VARCHAR)", form.text, form.wrong)


def identity(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    """Return an id as text, exactly as the source spells it; a float must be a whole number below 2^53."""
    form = string(of, duckdb_type, spec, place)
    form = form if spec.hash is not None or of == "text" else _spelt(form)
    wrong = form.wrong
    if of == "float":
        inexact = f"{{p}} IS NOT NULL AND isfinite({{p}}) AND ({{p}} <> trunc({{p}}) OR abs({{p}}) > {INTEGER_MAX})"
        wrong += (Wrong(inexact, "inexact_id", "is a float that is not a whole number below 2^53"),)
    if spec.hash is not None:
        # The hash of a blank is no blank: what identifies nothing has to be seen before.
        blank = f"{{p}} IS NOT NULL AND {BLANK.format('CAST({p} AS VARCHAR)')}"
        wrong += (Wrong(blank, "blank", BLANK_MESSAGE),)
    return Form(form.parsed, form.value, form.json, form.text, wrong)


# --- time ----------------------------------------------------------------------------------------------------------

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
            form = Form(parsed=_microseconds(duckdb_type), value=_to_utc("{p}", spec), wrong=(_LOCAL_WRONG,))
        case "integer" | "float" | "decimal":
            if spec.unit is None:
                raise UsageError(
                    f"{place}: a number is no moment without its unit", hint="write `unit: s`, ms, us or ns"
                )
            form = _epoch("{n}", spec.unit)
        case "text":
            form = _timestamp_text(spec, place)
        case "json":
            form = _of_json(_timestamp_text(spec, place))
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
    unparsed = Wrong(_UNPARSED, "timestamp", f"is not a timestamp {_expected(spec)}")
    if spec.unit is not None:
        number = f"CASE WHEN regexp_full_match(trim({{n}}), '{_NUMBER_TEXT}') THEN trim({{n}}) END"
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
            parsed=moment, wrong=(missing, Wrong(f"{_UNPARSED} AND NOT ({local})", unparsed.code, unparsed.message))
        )
    return _two_ways(moment, naive, spec, (unparsed,))


def _two_ways(moment: str, naive: str, spec: FieldSpec, wrong: tuple[Wrong, ...]) -> Form:
    if spec.timezone in {None, "UTC", "Etc/UTC"}:
        return Form(parsed=f"coalesce({naive}, {moment})", wrong=wrong)  # never both; the likelier one first
    parsed = f"CASE WHEN {{n}} IS NOT NULL THEN struct_pack(m := {moment}, l := {naive}) END"
    unparsed = wrong[0]
    neither = Wrong("{n} IS NOT NULL AND {p}.m IS NULL AND {p}.l IS NULL", unparsed.code, unparsed.message)
    local = Wrong("{n} IS NOT NULL AND {p}.l IS NOT NULL AND {v} IS NULL", *_LOCAL_TIME)
    return Form(parsed=parsed, value=f"coalesce({{p}}.m, {_to_utc('{p}.l', spec)})", wrong=(neither, local))


_LOCAL_TIME: Final = (
    "local_time",
    "is a local time that does not exist or exists twice (clock change); `dst: earliest` or `latest` decides",
)


_LOCAL_WRONG: Final = Wrong("{p} IS NOT NULL AND {v} IS NULL", *_LOCAL_TIME)


def _to_utc(local: str, spec: FieldSpec) -> str:
    """Move a local time to UTC; NULL where the clock change makes it none or two, unless `dst` decides.

    The offsets a day before and a day after give the two candidates; each is right when it shows the same local time.
    """
    if spec.timezone in {None, "UTC", "Etc/UTC"}:
        return local
    zone = literal(str(spec.timezone))

    def shown(moment: str) -> str:
        return f"timezone({zone}, timezone('UTC', {moment}))"

    def candidate(day: str) -> str:
        return f"({local} - ({shown(f'({local} {day})')} - ({local} {day})))"

    before, after = candidate("- INTERVAL 1 DAY"), candidate("+ INTERVAL 1 DAY")
    decided = {"earliest": f"least({before}, {after})", "latest": f"greatest({before}, {after})", None: "NULL"}[
        spec.dst
    ]
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
        wrong=(Wrong(_UNPARSED, "timestamp", f"is not a number of {unit} since 1970 in a believable year"),),
    )


def _date_form(parsed: str, wrong: tuple[Wrong, ...]) -> Form:
    years = Wrong(
        "{v} IS NOT NULL AND NOT ({v} >= DATE '1000-01-01' AND {v} <= DATE '9999-12-31')",
        _YEARS.code,
        "has a year that is not between 1000 and 9999",
    )
    shown = "strftime({v}, '%Y-%m-%d')"
    return Form(parsed=parsed, json="'\"' || " + shown + " || '\"'", text=shown, wrong=(*wrong, years))


def _date(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    unparsed = (Wrong(_UNPARSED, "date", f"is not a date {_expected(spec)}"),)
    match of:
        case "date" | "null":
            return _date_form("CAST({n} AS DATE)", ())
        case "timestamp":
            return _date_form(f"CAST({_microseconds(duckdb_type)} AS DATE)", ())
        case "zoned":
            moment = f"timezone('UTC', {_microseconds(duckdb_type)})"
            local = f"timezone({literal(spec.timezone or 'UTC')}, {moment})"
            return _date_form(f"CAST({local} AS DATE)", ())
        case "text" if spec.format is not None:
            return _date_form(f"CAST(try_strptime({{n}}, {_list(spec.format)}) AS DATE)", unparsed)
        case "text":
            iso = f"CASE WHEN regexp_full_match(trim({{n}}), '{_DATE}') THEN TRY_CAST(trim({{n}}) AS DATE) END"
            return _date_form(iso, unparsed)
        case "json":
            return _of_json(_date("text", "VARCHAR", spec, place))
        case _:
            raise UsageError(f"{place}: a {of} cannot be read as a date", hint="use `sql:` to convert it")


def _span(interval: str) -> str:
    """Spell a span of time as PostgreSQL does, in ISO 8601: `P1Y2DT3.5S`; one of nothing is `PT0S`."""

    def part(unit: str) -> str:
        return f"datepart('{unit}', {interval})"

    def spelt(unit: str, letter: str) -> str:
        return f"CASE WHEN {part(unit)} <> 0 THEN {part(unit)} || '{letter}' ELSE '' END"

    exact = f"CAST({part('microsecond')} AS DECIMAL(12, 0)) * CAST(0.000001 AS DECIMAL(7, 6))"
    second = f"CASE WHEN {part('microsecond')} <> 0 THEN {_trimmed(f'CAST({exact} AS VARCHAR)')} || 'S' ELSE '' END"
    day = " || ".join([spelt("year", "Y"), spelt("month", "M"), spelt("day", "D")])
    clock = " || ".join([spelt("hour", "H"), spelt("minute", "M"), second])
    # `P` alone has no part, and `T` at the end nothing behind it.
    return (
        f"coalesce(nullif(rtrim('P' || {day} || 'T' || {clock}, 'T'), 'P'), CASE WHEN {interval} IS NOT NULL "
        "THEN 'PT0S' END)"
    )


# --- SQL text ------------------------------------------------------------------------------------------------------


def literal(text: str) -> str:
    """Quote a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Quote a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _list(texts: list[str]) -> str:
    return "[" + ", ".join(map(literal, texts)) + "]"
