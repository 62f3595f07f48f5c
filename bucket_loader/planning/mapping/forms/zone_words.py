"""Words for zones in texts: abbreviations that mean one offset, and names of places; no abbreviation is guessed."""

import re
from typing import Final

from bucket_loader.config import directives
from bucket_loader.model import literal

# Abbreviations with one meaning. Not among them: BST, IST, CST, CDT, AST, ADT, GST, SST and others with several.
OFFSETS: Final = {
    "UTC": "+00:00", "UT": "+00:00", "GMT": "+00:00", "Z": "+00:00",
    "WET": "+00:00", "WEST": "+01:00", "CET": "+01:00", "CEST": "+02:00", "EET": "+02:00", "EEST": "+03:00",
    "MSK": "+03:00", "SAST": "+02:00", "HKT": "+08:00", "JST": "+09:00", "KST": "+09:00",
    "AWST": "+08:00", "ACST": "+09:30", "ACDT": "+10:30", "AEST": "+10:00", "AEDT": "+11:00",
    "NZST": "+12:00", "NZDT": "+13:00",
    "NST": "-03:30", "NDT": "-02:30", "EST": "-05:00", "EDT": "-04:00", "MST": "-07:00", "MDT": "-06:00",
    "PST": "-08:00", "PDT": "-07:00", "AKST": "-09:00", "AKDT": "-08:00", "HST": "-10:00",
}  # fmt: skip
_ABBREVIATION_LENGTH_MAX: Final = 3  # longer words are names of places, of which DuckDB reads those that exist

_WORD: Final = "([A-Za-z][A-Za-z0-9_+/-]*)"


def with_zone_word(form: str) -> str:
    """Return SQL that reads `{n}` by a format with `%Z`; NULL where the word has no meaning, or several.

    DuckDB alone takes BST for Bangladesh, and PST in July for the time of Los Angeles.
    """
    pattern = literal(_pattern(form))
    before, word, after = (f"regexp_extract({{n}}, {pattern}, {group})" for group in (1, 2, 3))
    if "%z" in directives(form):  # the offset says it all: `+0100 (BST)`
        return f"try_strptime({before} || {after}, {literal(form.replace('%Z', ''))})"
    known = " ".join(f"WHEN {literal(name)} THEN {literal(offset)}" for name, offset in OFFSETS.items())
    offset = f"CASE upper({word}) {known} END"
    by_offset = f"try_strptime({before} || {offset} || {after}, {literal(form.replace('%Z', '%z'))})"
    place = f"length({word}) > {_ABBREVIATION_LENGTH_MAX} AND {offset} IS NULL"
    by_place = f"CASE WHEN {place} THEN CAST(try_strptime({{n}}, {literal(form)}) AS TIMESTAMP) END"
    return f"coalesce(CAST({by_offset} AS TIMESTAMP), {by_place})"


def _pattern(form: str) -> str:
    """Return a pattern of three groups: what stands before the zone's word, the word, and what stands behind it."""
    parts = re.findall(r"%-?.|\s+|[^%\s]+", form, re.DOTALL)
    place = parts.index("%Z")
    before, after = ("".join(map(_part, some)) for some in (parts[:place], parts[place + 1 :]))
    return f"^({before}){_WORD}({after})$"


def _part(part: str) -> str:
    if part == "%%":
        return "%"
    if part.startswith("%"):
        return ".*?"
    return r"\s*" if part.isspace() else re.escape(part)
