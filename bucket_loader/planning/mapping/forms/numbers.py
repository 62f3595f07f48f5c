"""The forms of numbers, whatever type or text they come as, and of truth values."""

import re
from typing import Final

from bucket_loader.model import UsageError
from bucket_loader.planning.mapping.forms.form import UNPARSED, Family, Form, Wrong, of_json

INTEGER_MAX: Final = 2**53 - 1  # beyond it a JSON number is not certain in JavaScript
DIGITS_MAX: Final = 15  # significant digits that every double keeps
TINY_MIN: Final = "2.3e-308"  # below it a double loses digits
WHOLE_MAX: Final = "1e37"  # from here on a double is sent in its shortest form, since no type of DuckDB holds it whole

TRUE_WORDS: Final = ("true", "t", "yes", "y", "1")
FALSE_WORDS: Final = ("false", "f", "no", "n", "0")

NUMBER_TEXT: Final = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?"
_INTEGER_TEXT: Final = r"[+-]?\d+(\.0*)?"
PLAIN_NUMBER: Final = r"0|-?[1-9]\d{0,14}|-?[1-9]\d*\.\d*[1-9]|-?0\.0{0,2}[1-9](\d*[1-9])?"


def whole_form(duckdb_type: str) -> Form:
    """Return the form of a whole number; one that JavaScript could round is sent as text."""
    plain = "CAST({v} AS VARCHAR)"
    if duckdb_type in {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}:
        return Form(json=plain, text=plain)
    within = f"{{v}} BETWEEN -{INTEGER_MAX} AND {INTEGER_MAX}"
    return Form(json=f"CASE WHEN {within} THEN {plain} ELSE '\"' || {plain} || '\"' END", text=plain)


def float_form() -> Form:
    """Return the form of a float: whole ones without a point, others in their shortest form."""
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


def _decimal_json(text: str) -> str:
    """Return the JSON of an exact decimal text: a double's shortest form where every double keeps it, else quoted."""
    digits = f"length(replace(ltrim(replace({text}, '.', ''), '-0'), '-', ''))"
    double = f"TRY_CAST({text} AS DOUBLE)"
    whole = f"{digits} < 16 OR abs(TRY_CAST({text} AS HUGEINT)) <= {INTEGER_MAX}"
    return (
        f"CASE WHEN NOT contains({text}, '.') AND ({whole}) THEN {text} "
        f"WHEN contains({text}, '.') AND {digits} <= {DIGITS_MAX} AND abs({double}) >= {TINY_MIN} "
        f"THEN CAST({double} AS VARCHAR) ELSE '\"' || {text} || '\"' END"
    )


def trimmed(text: str) -> str:
    """Return a decimal's text without the zeros that say nothing: 1.10 -> 1.1, 2.00 -> 2, -0 -> 0."""
    shorter = f"CASE WHEN contains({text}, '.') THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"
    return f"CASE WHEN {shorter} IN ('-0', '') THEN '0' ELSE {shorter} END"


def decimal_form(duckdb_type: str) -> Form:
    """Return the form of a decimal: exact, without the zeros that say nothing."""
    text = trimmed("CAST({p} AS VARCHAR)")
    return Form(value=_signed(f"({text})") if is_fraction(duckdb_type) else text, json=_decimal_json("{v}"))


def is_fraction(duckdb_type: str) -> bool:
    """Whether a type is a decimal of fractions alone, whose text DuckDB writes without a zero before the point: .50."""
    return re.fullmatch(r"DECIMAL\((\d+),\s*\1\)", duckdb_type) is not None


def number_from_text() -> Form:
    """Read a number from text, exactly: written out, whatever its exponent, below `WHOLE_MAX`."""
    text, double, signed = "trim({n})", "TRY_CAST(trim({n}) AS DOUBLE)", f"({_signed('{p}')})"
    return Form(
        parsed=f"CASE WHEN {_is_plain('{n}')} THEN {{n}} "
        f"WHEN NOT regexp_full_match({text}, '{NUMBER_TEXT}') THEN NULL "
        f"WHEN NOT contains({text}, 'e') AND NOT contains({text}, 'E') THEN {text} "
        f"WHEN NOT isfinite({double}) THEN NULL "
        f"WHEN abs({double}) >= {WHOLE_MAX} THEN CAST({double} AS VARCHAR) ELSE {_written_out(text)} END",
        value=f"CASE WHEN {_is_plain('{p}')} OR contains({{p}}, 'e') THEN {{p}} ELSE {trimmed(signed)} END",
        json=f"CASE WHEN {_is_plain('{v}')} OR contains({{v}}, 'e') THEN {{v}} ELSE {_decimal_json('{v}')} END",
        wrong=(Wrong(UNPARSED, "number", "is not a number"),),
    )


def _is_plain(text: str) -> str:
    """Return SQL for whether a number's text is its form already, as most are: no exponent, 15 digits, none idle.

    Every double keeps 15 digits, so that its shortest form is this very text. Below 0.001 that has an exponent.
    """
    return f"(strlen({text}) <= 16 AND regexp_full_match({text}, '{PLAIN_NUMBER}'))"


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
    # Zeros on both sides, so that the point has digits to move over; how far it may move is in `NUMBER_TEXT`.
    digits = f"repeat('0', greatest(-({exponent}), 0)) || {whole} || {fraction} || repeat('0', greatest({exponent}, 0))"
    point = f"length({whole}) + greatest(-({exponent}), 0) + ({exponent})"
    sign = f"CASE WHEN starts_with({text}, '-') THEN '-' ELSE '' END"
    return f"({sign} || left({digits}, {point}) || '.' || substr({digits}, {point} + 1))"


def integer(of: Family, place: str) -> Form:
    """Read a whole number; what has a fraction is refused, never cut."""
    wrong = (Wrong(UNPARSED, "integer", "is not a whole number"),)
    shown = whole_form("HUGEINT")
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
            return of_json(integer("text", place))
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
            return of_json(boolean("text", place))
        case _:
            raise UsageError(f"{place}: a {of} cannot be read as a boolean", hint="use `sql:` to convert it")
    words = ", ".join((*TRUE_WORDS, *FALSE_WORDS))
    return Form(
        parsed=parsed, json=shown, text=shown, wrong=(Wrong(UNPARSED, "boolean", f"is none of {words} (in any case)"),)
    )
