"""The form of a score on a scale of its own: 0 to 10, 1 to 7, 0 to 100, brought to the whole numbers of the API."""

from decimal import Decimal

from bucket_loader.model import FieldRule, UsageError
from bucket_loader.planning.mapping.forms.form import UNPARSED, Family, Form, Wrong, of_json
from bucket_loader.planning.mapping.forms.numbers import NUMBER_TEXT, whole_form


def scaled(of: Family, bounds: tuple[Decimal, Decimal], rule: FieldRule, place: str) -> Form:
    """Read a number on a scale as a whole number of the field: linear, halves rounded up.

    The steps between the whole numbers are exact decimals, and a value is compared with them: nothing is divided for a
    row, so that no float decides what is half.

    Args:
        of: the family of the value.
        bounds: the least and the greatest value.
        rule: what the contract says of the field, the least and the greatest number that these become.
        place: where it stands, for the message.
    """
    if of == "json":
        return of_json(scaled("text", bounds, rule, place))
    to_least, to_greatest = rule.minimum or 0, rule.maximum or 0
    number = f"TRY_CAST({_number(of, '{p}', place)} AS DECIMAL(38, 18))"
    steps = "".join(f" + CAST({number} >= {step:f} AS INTEGER)" for step in _steps(bounds, to_greatest - to_least))
    least, greatest = bounds
    outside = f"{{p}} IS NOT NULL AND NOT coalesce({number} BETWEEN {least:f} AND {greatest:f}, false)"
    message = f"is outside of its `scale:`, {least.normalize():f} to {greatest.normalize():f}"
    shown = whole_form("INTEGER")
    return Form(
        parsed=_parsed(of),
        # A number too large for the cast is outside of any scale: the record is refused, whatever is counted for it.
        value=f"CASE WHEN {{p}} IS NOT NULL THEN coalesce({to_least}{steps}, {to_least}) END",
        json=shown.json,
        text=shown.text,
        wrong=(Wrong(UNPARSED, "number", "is not a number"), Wrong(outside, "range", message)),
    )


def _steps(bounds: tuple[Decimal, Decimal], count: int) -> list[Decimal]:
    """Return from which value on the next whole number is meant, for each but the first: half of the way to it."""
    least, greatest = bounds
    return [least + (greatest - least) * (2 * step - 1) / (2 * count) for step in range(1, count + 1)]


def _parsed(of: Family) -> str:
    """Return the level `p`: a number's text, or the number."""
    return f"CASE WHEN regexp_full_match(trim({{n}}), '{NUMBER_TEXT}') THEN trim({{n}}) END" if of == "text" else "{n}"


def _number(of: Family, value: str, place: str) -> str:
    """Return what is cast to a decimal: a float by its shortest digits, for it means 0.1 and no tail."""
    if of == "float":
        return f"CAST({value} AS VARCHAR)"
    if of not in {"text", "integer", "decimal", "boolean", "null"}:
        raise UsageError(f"{place}: a {of} cannot be read as a number", hint="use `sql:` to convert it")
    return value
