"""Says in plain words whom a filter lets in: the page of the emulator and `features evaluate --explain` speak alike."""

from collections.abc import Sequence
from typing import Any, Final

from bucket_loader.model.evaluation.rules import Filter, inner_filters

_OPERATORS: Final = {
    "IS": "is",
    "IS_NOT": "is not",
    "ANY_OF": "is one of",
    "NOT_ANY_OF": "is none of",
    "CONTAINS": "contains",
    "NOT_CONTAINS": "does not contain",
    "GT": "is more than",
    "LT": "is less than",
    "SET": "is set",
    "NOT_SET": "is not set",
    "IS_TRUE": "is true",
    "IS_FALSE": "is false",
    "DATE_AFTER": "is on or after",
    "DATE_BEFORE": "is on or before",
}
_DAYS: Final = {"AFTER": "is within the last {} days", "BEFORE": "is more than {} days ago"}
_PER_CENT: Final = 1000  # of a rollout's scale


def in_words(node: Filter) -> str:
    """Return a whole filter as one phrase: `company.plan is pro and (user.role is admin or user.seats is set)`."""
    inner = inner_filters(node)
    if node["type"] == "negation":
        return f"not ({in_words(inner[0])})"
    if not inner:
        return headline(node)
    parts = [f"({in_words(one)})" if _is_joined(one) and len(inner) > 1 else in_words(one) for one in inner]
    return (" and " if node["operator"] == "and" else " or ").join(parts)


def headline(node: Filter) -> str:
    """Return a filter in words, without those that stand in it."""
    match node["type"]:
        case "constant":
            return _everyone(holds=bool(node["value"]))
        case "context":
            return _comparison(node["field"], node["operator"], node.get("values") or [])
        case "rolloutPercentage":
            share = float(node["partialRolloutThreshold"]) / _PER_CENT
            return f"{share:g} % by {node['partialRolloutAttribute']}"
        case "group" if node["filters"]:
            return "all of these" if node["operator"] == "and" else "any of these"
        case "group":
            return _everyone(holds=node["operator"] == "and")
        case "negation":
            return "not this"
        case _:
            return f"nobody: a filter of type {node['type']} is not known"


def _everyone(*, holds: bool) -> str:
    return "everyone" if holds else "nobody"


def _comparison(field: str, operator: str, values: Sequence[Any]) -> str:
    if operator in _DAYS:
        return f"{field} {_DAYS[operator].format(*values[:1])}"
    return f"{field} {_OPERATORS.get(operator, operator)} {', '.join(map(str, values))}".rstrip()


def _is_joined(node: Filter) -> bool:
    return node["type"] == "group" and len(node["filters"]) > 1
