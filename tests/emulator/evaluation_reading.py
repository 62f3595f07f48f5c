"""A second reading of how features are evaluated since autumn 2026, written from the description of the API alone.

It shares no line with the package, and is as slow and as plain as it can be: each sentence of the description is a
branch. What is evaluated here is compared with what the package evaluates.
"""

import datetime as dt
import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

MISSING = "MISSING_CONTEXT_FIELD"
NO_LIST = "UNSUPPORTED_ARRAY_OPERATOR"
JS_BLANKS = "\t\n\v\f\r \u00a0\ufeff"
DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
# What `new Date(text)` of node makes of the drawn texts that are no ISO dates; the others are no dates there either.
IN_NODE = {
    "0": "2000-01-01", "1": "2001-01-01", "1.5": "2001-01-05", " 2 ": "2001-02-01", "-1": "2001-01-01",
    "2": "2001-02-01", "10": "2001-10-01", "3": "2001-03-01", "7": "2001-07-01", "42": "2042-01-01",
}  # fmt: skip
BASES = {"0x": 16, "0o": 8, "0b": 2}


@dataclass
class Reading:
    """What a flag's rules say of a context."""

    value: bool = False
    results: list[bool] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    errors: list[tuple[str, str, str | None]] = field(default_factory=list)

    def note(self, code: str, name: str, operator: str | None) -> None:
        """Note an error once, in the order in which errors are met."""
        if (code, name, operator) not in self.errors:
            self.errors.append((code, name, operator))
        if code == MISSING and name not in self.missing:
            self.missing.append(name)


def read_rules(rules: list[dict[str, Any]], context: dict[str, Any]) -> Reading:
    """Return what the rules say: all are evaluated in order, and the first that is true gives the value."""
    fields = flat(context)
    reading = Reading()
    for rule in rules:
        erred: list[bool] = []
        matched = holds(rule["filter"], fields, reading, erred)
        reading.results.append(matched and not erred)
    reading.value = any(reading.results)
    return reading


def holds(test: dict[str, Any], fields: dict[str, Any], reading: Reading, erred: list[bool]) -> bool:
    """Return whether a filter is true; an erring one is false, and is noted in `erred`."""
    kind = test.get("type")
    if kind == "constant":
        return bool(test["value"])
    if kind == "negation":
        return not holds(test["filter"], fields, reading, erred)
    if kind == "group":
        if test["operator"] == "and":
            return all(holds(part, fields, reading, erred) for part in test["filters"])
        return any(holds(part, fields, reading, erred) for part in test["filters"])
    if kind == "rolloutPercentage":
        return rolled_out(test, fields, reading, erred)
    if kind == "context":
        return compared(test, fields, reading, erred)
    return False


def rolled_out(test: dict[str, Any], fields: dict[str, Any], reading: Reading, erred: list[bool]) -> bool:
    """Return whether an attribute's share of the hash lies below the threshold."""
    name = test["partialRolloutAttribute"]
    if name not in fields or isinstance(fields[name], list):
        reading.note(*((NO_LIST, name, "rolloutPercentage") if name in fields else (MISSING, name, None)))
        erred.append(True)
        return False
    digest = hashlib.sha256(f"{test['key']}.{fields[name]}".encode()).digest()
    share = int.from_bytes(digest[:4], "little") & 0xFFFFF
    return math.floor(share / 0xFFFFF * 100_000) < test["partialRolloutThreshold"]


def compared(test: dict[str, Any], fields: dict[str, Any], reading: Reading, erred: list[bool]) -> bool:
    """Return whether a field compares as the operator asks."""
    name, operator, values = test["field"], test["operator"], test.get("values") or []
    if name not in fields and operator not in {"SET", "NOT_SET"}:
        reading.note(MISSING, name, None)
        erred.append(True)
        return False
    value = fields.get(name, "")
    if isinstance(value, list):
        answer = of_list(operator, value, values)
        if answer is None:
            reading.note(NO_LIST, name, operator)
            erred.append(True)
        return bool(answer)
    return of_text(operator, value, values)


def of_list(operator: str, items: list[str], values: list[str]) -> bool | None:
    """Return what an operator says of a list; None where it takes none."""
    first = values[0] if values else None
    answers = {
        "IS": len(items) == 1 and items[0] == first,
        "IS_NOT": not (len(items) == 1 and items[0] == first),
        "CONTAINS": first in items,
        "NOT_CONTAINS": first not in items,
        "ANY_OF": any(value in items for value in values),
        "NOT_ANY_OF": not any(value in items for value in values),
        "SET": len(items) > 0,
        "NOT_SET": len(items) == 0,
    }
    return answers.get(operator)


def of_text(operator: str, text: str, values: list[str]) -> bool:
    """Return what an operator says of a text."""
    first = values[0] if values else ""
    if operator in {"GT", "LT"}:
        mine, theirs = number(text), number(first)
        return mine > theirs if operator == "GT" else mine < theirs
    if operator in {"AFTER", "BEFORE", "DATE_AFTER", "DATE_BEFORE"}:
        return of_date(operator, text, first)
    answers = {
        "IS": text == first,
        "IS_NOT": text != first,
        "CONTAINS": first.lower() in text.lower(),
        "NOT_CONTAINS": first.lower() not in text.lower(),
        "ANY_OF": text in values,
        "NOT_ANY_OF": text not in values,
        "SET": text != "",
        "NOT_SET": text == "",
        "IS_TRUE": text == "true",
        "IS_FALSE": text == "false",
    }
    return answers.get(operator, False)


def of_date(operator: str, text: str, value: str) -> bool:
    """Return how a date lies: to so many days ago, or to another date, which itself counts."""
    mine = moment(text)
    if mine is None:
        return False
    if operator.startswith("DATE_"):
        theirs = moment(value)
        if theirs is None:
            return False
        return mine >= theirs if operator == "DATE_AFTER" else mine <= theirs
    days = number(value)
    if math.isnan(days):
        return False
    border = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    return mine > border if operator == "AFTER" else mine < border


def moment(text: str) -> dt.datetime | None:
    """Return the time of an ISO text, or of what node reads as one; None for other texts."""
    text = IN_NODE.get(text, text)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(T.*)?", text):
        return None
    read = dt.datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=dt.UTC)


def number(text: str) -> float:
    """Return what ECMAScript's Number() makes of a text."""
    bare = text.strip(JS_BLANKS)
    if bare == "":
        return 0.0
    if bare[:2].lower() in BASES:
        digits = bare[2:]
        base = BASES[bare[:2].lower()]
        allowed = "0123456789abcdef"[:base]
        good = digits != "" and all(digit in allowed for digit in digits.lower())
        return float(int(digits, base)) if good else math.nan
    if bare.lstrip("+-") == "Infinity":
        return -math.inf if bare[0] == "-" else math.inf
    return float(bare) if DECIMAL.fullmatch(bare) else math.nan


def flat(context: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return the fields: names joined by dots, every value a text, or one list of texts."""
    fields: dict[str, Any] = {}
    for name, value in context.items():
        if isinstance(value, dict) and value:
            fields.update(flat(value, f"{before}{name}."))
        elif isinstance(value, list):
            fields[before + name] = [item_text(item) for item in value]
        else:
            fields[before + name] = "" if value == {} else plain_text(value)
    return fields


def item_text(item: Any) -> str:
    """Return an item of a list: what is inside of it is compact JSON."""
    return compact(item) if isinstance(item, dict | list) else plain_text(item)


def plain_text(value: Any) -> str:
    """Return JavaScript's String() of a value; null is empty."""
    return value if isinstance(value, str) else "" if value is None else compact(value)


def compact(value: Any) -> str:
    """Return JavaScript's JSON text of a value."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{compact(name)}:{compact(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(compact(item) for item in value) + "]"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
