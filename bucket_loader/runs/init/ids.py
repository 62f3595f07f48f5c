"""How an id is sent, and which rows have none: ids are sent as they are spelt, and an address never is."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from bucket_loader.runs.init import shapes
from bucket_loader.runs.init.evidence import Column
from bucket_loader.runs.init.guess import quoted
from bucket_loader.runs.init.guessed import Condition, GuessedField
from bucket_loader.runs.init.spelling import spelt_field, sql_of, sql_text

# What exports write where there is no id.
_NOBODY: Final = frozenset(
    {
        "null",
        "none",
        "undefined",
        "nan",
        "n/a",
        "na",
        "\\n",
        "(null)",
        "nil",
        "-",
        "anonymous",
        "unknown",
        "guest",
        "(not set)",
        "(none)",
    }
)
# How ids begin that tools make up for visitors whom nobody knows.
_MADE_UP: Final = (
    "_PENDO_T_",
    "$device:",
    "anon-",
    "anon_",
    "anonymous-",
    "anonymous_",
    "guest-",
    "guest_",
    "visitor-",
)
_HALF: Final = 0.5
_SOME: Final = 0.2
_FOOTER_ROWS: Final = 2
_FOOTER_SHARE: Final = 10  # one of so many ids may be the words of a footer


def id_field(name: str, column: Column, reason: str) -> GuessedField:
    """Return the field of an id."""
    if column.words in {"username", "login"} and shapes.share_of_logins(column.texts) > _SOME:
        spelling = spelt_field(column, {"hash": "sha256"})
        return GuessedField(name, spelling, "logins here are names of persons: their hash is sent", column.name)
    addresses = shapes.wholly(shapes.EMAIL, column.texts)
    if addresses > _HALF:
        spelling = spelt_field(column, {"hash": "sha256"})
        return GuessedField(
            name,
            spelling,
            "only e-mail addresses say who it is: their hash is sent; hmac hides them better",
            column.name,
        )
    if addresses:
        sql = sql_of(column)
        hashed = f"case when {sql} like '%@%' then sha256({sql}) else {sql} end"
        return GuessedField(
            name, f"{{sql: {quoted(hashed)}}}", "some are e-mail addresses: of these a hash is sent", column.name
        )
    return _cleaned(name, column) or GuessedField(name, spelt_field(column), reason, column.name)


def _cleaned(name: str, column: Column) -> GuessedField | None:
    """Return the field of ids that a spreadsheet or a program has written with more than the id; else None."""
    sql, found = sql_of(column), []
    if any(text != text.strip() for text in column.texts):
        sql, found = f"trim({sql})", ["some have blanks around them"]
    wholes = sum(1 for text in column.texts if re.fullmatch(r"\s*\d+(\.0)?\s*", text))
    if wholes == len(column.texts) and any(text.strip().endswith(".0") for text in column.texts):
        sql = f"regexp_replace({sql}, '[.]0$', '')"
        found.append("whole numbers that some program wrote with .0")
    return GuessedField(name, f"{{sql: {quoted(sql)}}}", "; ".join(found), column.name) if found else None


def of_an_id(column: Column, rows: int, *, always: bool) -> Iterator[Condition]:
    """Return the conditions that a row has an id, and not the words of a footer.

    Args:
        column: the ids.
        rows: how many rows the sample has.
        always: whether rows without one are usual, whatever the sample shows.
    """
    yield from _of_no_footer(column)
    words = (
        sorted({text for text in column.texts if text.strip().lower() in _NOBODY}) if len(set(column.texts)) > 1 else []
    )
    without = rows - len(column.values) + sum(1 for value in column.values if value == "" or value in words)
    if not without and not always:
        return
    sql = sql_of(column)
    if column.family == "text":
        listed = ", ".join(map(sql_text, ["", *words]))
        test = f"{sql} not in ({listed})" if words else f"{sql} <> ''"
    else:
        test = f"{sql} is not null"
    yield Condition(test, f"rows without {column.name!r} are nobody's ({without:,} of {rows:,} looked at)")


def _of_no_footer(column: Column) -> Iterator[Condition]:
    """Return the condition that an id is like the others, where one or two are not: a total or a notice at the end."""
    texts = [text for text in column.texts if text.strip().lower() not in _NOBODY]
    sentences = [text for text in texts if re.search(r"\S\s+\S", text)]
    totals = [text for text in texts if text not in sentences and re.fullmatch(r"[^\W\d]+:?", text.strip())]
    others = [text for text in texts if text not in {*sentences, *totals}]
    tests = []
    sentences = sentences if _are_few(sentences, texts) else []
    if sentences:
        tests.append(f"not regexp_matches({sql_of(column)}, '\\S\\s+\\S')")
    if _are_few(totals, texts) and not any(shapes.is_like(text, others) for text in totals):
        tests.append(f"{sql_of(column)} not in ({', '.join(map(sql_text, sorted(set(totals))))})")
    else:
        totals = []
    if tests:
        unlike = len(sentences) + len(totals)
        reason = f"{unlike} of the ids {'is' if unlike == 1 else 'are'} unlike all others, as a total or a notice is"
        yield Condition(" and ".join(tests), reason)


def _are_few(unlike: Sequence[str], texts: Sequence[str]) -> bool:
    return 0 < len(unlike) <= _FOOTER_ROWS and len(unlike) * _FOOTER_SHARE <= len(texts)


def of_something(column: Column, rows: int) -> Iterator[Condition]:
    """Return the condition that a row names its event, where some do not."""
    without = rows - len(column.values) + sum(1 for value in column.values if value == "")
    if without:
        test = f"{sql_of(column)} <> ''" if column.family == "text" else f"{sql_of(column)} is not null"
        yield Condition(test, f"rows without {column.name!r} name no event ({without:,} of {rows:,} looked at)")


def of_a_known_visitor(column: Column, anonymous: str) -> Iterator[Condition]:
    """Return the conditions that an id is not one that a tool made up for a visitor without a name.

    Args:
        column: the ids.
        anonymous: how such ids begin in this export, whether the sample has some or not; empty where nothing says it.
    """
    if column.family == "text":
        seen = (start for start in _MADE_UP if any(text.startswith(start) for text in column.texts))
        for start in dict.fromkeys([*filter(None, [anonymous]), *seen]):
            test = f"not starts_with({sql_of(column)}, {sql_text(start)})"
            yield Condition(test, f"ids that begin with {start!r} are made up for visitors without a name")
    if column.words == "distinct_id" and (made_up := _made_up_uuids(column)) is not None:
        yield Condition(
            f"not regexp_matches({sql_of(column)}, {sql_text(made_up)})",
            "UUIDs beside other ids are of visitors without a name",
        )


def _made_up_uuids(column: Column) -> str | None:
    """Return a pattern of the ids that are UUIDs, where others are not; or of version 7, where others are not."""
    uuids = [text for text in column.texts if shapes.UUID.fullmatch(text)]
    seventh = [text for text in uuids if text.replace("-", "")[12:13] == "7"]
    if 0 < len(uuids) < len(column.texts):
        return "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"
    if 0 < len(seventh) < len(column.texts):
        return "^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?7"
    return None


def of_a_person_beside(column: Column, others: list[Column]) -> Iterator[Condition]:
    """Return the conditions that an id is not that of the device beside it, where some rows have one in both."""
    if column.words not in {"distinct_id", "visitor_id"}:
        return
    known = set(column.texts)
    for other in others:
        if other.name != column.name and known & set(other.texts):
            yield Condition(
                f"{sql_of(column)} is distinct from {sql_of(other)}",
                f"where {other.name!r} is the same, it is a device and nobody known",
            )
