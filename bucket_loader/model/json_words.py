"""What a decoder of JSON objects to, said as everybody understands it.

msgspec says "Expected `str` of length >= 1 - at `$.userId`"; a person reads "userId: must not be empty".
"""

import re
from collections.abc import Callable
from typing import Final

_PLACE: Final = re.compile(r"(?s)(?P<what>.*?)(?: - at `(?:key )?(?:in )?\$\.?(?P<where>[^`]*)`)?")
_NAMED: Final = {
    "str": ["text"], "int": ["a whole number"], "float": ["a number"], "bool": ["true", "false"],
    "object": ["an object"], "array": ["a list"],
}  # fmt: skip
_BOUNDS: Final = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def json_mistake(error: Exception | str, place: str = "") -> str:
    """Return what is wrong with JSON, with its place first; `place` where the decoder names none."""
    match = _PLACE.fullmatch(str(error))
    what, where = (match["what"], match["where"] or "") if match else (str(error), "")
    for pattern, words in _SENTENCES.items():
        if (found := re.fullmatch(pattern, what)) is not None:
            what, inner = words(found), found.groupdict().get("inner")
            where = f"{where}.{inner}" if where and inner else inner or where
            break
    return ": ".join(part for part in (where or place, what) if part)


def _length(found: re.Match[str]) -> str:
    unit, sign, number = found["unit"], found["sign"], int(found["number"])
    if sign == ">=" and number == 1:
        return "must not be empty"
    things = {"str": "character", "bytes": "byte"}.get(unit, "entry" if number == 1 else "entrie")
    return f"must have {_BOUNDS[sign]} {number} {things}{'' if number == 1 else 's'}"


def _types(found: re.Match[str]) -> str:
    """Return what a value must be, and what it is."""
    types = found["types"].split(" | ")
    if "float" in types and "int" in types:
        types.remove("int")  # which a number is anyway
    given = found["given"]
    return f"must be {_named(types)}" + (f", not {_named([given])}" if given else "")


def _named(types: list[str]) -> str:
    names = [name for one in types for name in _NAMED.get(one, [one])]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _form(found: re.Match[str]) -> str:
    """Return what a text must look like: of the patterns that are used here, how long it is."""
    length = re.search(r"\{(\d+),(\d+)\}", found["pattern"])
    return "must have another form" if length is None else f"must have {length[1]} to {length[2]} characters"


# The decoder's sentences, and ours for each.
_SENTENCES: Final[dict[str, Callable[[re.Match[str]], str]]] = {
    r"Expected `(?P<unit>str|bytes|array|object)` of length (?P<sign>[<>]=) (?P<number>\d+)": _length,
    r"Expected `(?:int|float)` (?P<sign>[<>]=?) (?P<number>\S+)":
        lambda found: f"must be {_BOUNDS[found['sign']]} {found['number'].removesuffix('.0')}",
    r"Expected `str` matching regex (?P<pattern>.*)": _form,
    r"Expected `(?P<types>[^`]+)`(?:, got `(?P<given>[^`]+)`)?": _types,
    r"Object missing required field `(?P<inner>.+)`": lambda _: "is missing",
    r"Object contains unknown field `(?P<inner>.+)`": lambda _: "is not known here",
    r"Invalid (?:enum )?value (?P<value>.*)": lambda found: f"{found['value']} is none of those that may stand here",
    r"Number out of range": lambda _: "is too large a number",
    r"Invalid base64 encoded string": lambda _: "must be base64",
    r"Input data was truncated": lambda _: "is not JSON: it ends too early",
    r"JSON is malformed: (?P<why>.*)": lambda found: f"is not JSON: {found['why']}",
    r"(?P<why>maximum recursion depth exceeded.*)": lambda _: "is nested too deeply",
}  # fmt: skip
