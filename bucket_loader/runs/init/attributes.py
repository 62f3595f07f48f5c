"""Attributes: every column that is sent beside the fields, and every one that is left out, with the reason."""

from collections.abc import Mapping, Sequence
from typing import Final

from pyarrow import types

from bucket_loader.model import COMPANY, Kind, contract
from bucket_loader.runs.init.evidence import Column, Sample
from bucket_loader.runs.init.fields import decided
from bucket_loader.runs.init.guess import Guess
from bucket_loader.runs.init.guessed import GuessedField, LeftOut
from bucket_loader.runs.init.personal import personal_reason
from bucket_loader.runs.init.spelling import spelt_field
from bucket_loader.runs.init.values import reason_of, value_guess

# What tools wrap properties in: the wrapping is no part of an attribute's name.
_WRAPPINGS: Final = frozenset(
    {
        "properties",
        "$properties",
        "traits",
        "event_properties",
        "user_properties",
        "person_properties",
        "custom_attributes",
        "metadata",
    }
)
_LEAVES_MAX: Final = 100  # names inside of one column; more are keys of a map, and no attributes
_DROPPED: Final = frozenset({"__proto__", "constructor", "prototype"})
_COMPANY_NAMES: Final = (
    "company_name", "account_name", "organization_name", "organisation_name", "org_name", "workspace_name",
    "tenant_name", "team_name", "company", "business_name",
)  # fmt: skip


def attributes_of(
    kind: Kind, sample: Sample, used: Mapping[str, Column], known: Mapping[str, str], *, sends_personal: bool = False
) -> tuple[Sequence[GuessedField], Sequence[LeftOut]]:
    """Return the attributes of a stream, and what is left out.

    Args:
        kind: what a row is.
        sample: its rows.
        used: the columns that fields are made from, by field.
        known: the columns that are no attributes, whatever they hold, each with its reason.
        sends_personal: whether what is about persons is sent.
    """
    if "attributes" not in contract.rules(kind.name):
        return (), ()
    names = _names(kind, sample, used)
    sent: list[GuessedField] = []
    left: list[LeftOut] = []
    crowded = _crowded(sample)
    for column in sample.columns:
        if column.name not in names:
            continue
        name, guess = names[column.name], _guess(column, sample)
        reason = _crowd_reason(column, crowded) or known.get(column.name)
        personal = None if reason or sends_personal else personal_reason(column, kind, sample.columns)
        if (reason := reason or personal or _unfit(column)) is not None:
            left.append(LeftOut(name, spelt_field(column, guess.words), reason, personal is not None))
        else:
            choices = [spelt_field(column, words) for words in guess.choices]
            sent.append(GuessedField(name, spelt_field(column, guess.words), _said(guess), column.name, choices))
    return sent, _once(left)


def _guess(column: Column, sample: Sample) -> Guess:
    guess = value_guess(column)
    if guess.choices:
        words, others = decided(guess, sample)
        return Guess(words, "day or month first? both read every value", others)
    return guess


def _said(guess: Guess) -> str:
    """Return what speaks for a guess, or why none is made."""
    if guess.note and not guess.words:
        return f"it stays text: {guess.note}"
    return guess.note or reason_of(guess.words)


def _names(kind: Kind, sample: Sample, used: Mapping[str, Column]) -> Mapping[str, str]:
    """Return the name of each attribute, by column."""
    taken = {column.name for column in used.values()}
    free = [column for column in sample.columns if column.name not in taken]
    names = {column.name: _name(column) for column in free}
    twice = {name for name in names.values() if list(names.values()).count(name) > 1}
    names = {column: column if name in twice else name for column, name in names.items()}
    if kind is COMPANY and "name" not in names.values():
        own = [column for wanted in _COMPANY_NAMES for column in free if column.words == wanted and column.texts]
        names |= {column.name: "name" for column in own[:1]}
    return names


def _name(column: Column) -> str:
    if column.leaf is not None and column.leaf.path and column.leaf.column in _WRAPPINGS:
        return ".".join(column.leaf.path)
    return column.name


def _unfit(column: Column) -> str | None:
    """Return why a column is no attribute, whatever it is about; None where it is one."""
    if types.is_list(column.type) and types.is_nested(column.type.value_type):
        return "lists of objects"
    if column.is_empty and not types.is_date(column.type) and column.family != "naive":
        return "empty in the sample"
    if column.family == "other" and types.is_null(column.type):
        return "values of several kinds"
    if set(column.name.split(".")) & _DROPPED:
        return "a name that Bucket drops"
    return None


def _crowded(sample: Sample) -> frozenset[str]:
    counted: dict[str, int] = {}
    for column in sample.columns:
        if column.leaf is not None:
            counted[column.leaf.column] = counted.get(column.leaf.column, 0) + 1
    return frozenset(name for name, count in counted.items() if count > _LEAVES_MAX)


def _crowd_reason(column: Column, crowded: frozenset[str]) -> str | None:
    is_in = column.leaf is not None and column.leaf.column in crowded
    return f"one of more than {_LEAVES_MAX} names inside of {column.leaf.column!r}" if is_in and column.leaf else None


def _once(left: Sequence[LeftOut]) -> Sequence[LeftOut]:
    return sorted(left, key=lambda one: (one.reason == "empty in the sample", one.reason))
