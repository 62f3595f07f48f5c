"""Contexts and rules by chance: lists, nesting, missing fields, negations and groups, the same for the same seed."""

from random import Random
from typing import Any

TEXTS = (
    "", "a", "b", "A", "ab", "true", "false", "0", "1", "1.5", " 2 ", "0x10", "1_000", "Infinity", "é", "e\u0301",
    "2020-01-01", "2020-01-01T00:00:00.000Z", "2099-12-31",
    "2099-12-31T23:00:00.000Z", '{"a":1}', "[]", '["a"]', "null", "ß", "admin", "[TRUNCATED]",
)  # fmt: skip
SINGLE = (*TEXTS, 0, 1, 1.5, -1, 2, 10, True, False, None, 16, 3.0, 12345678901)
OFTEN = ("a", "b", "1", "true", "")  # so that what is drawn on either side meets
OFTEN_SENT = (*OFTEN, 1, True, None)
INSIDE = ({"a": 1}, {"b": [True, None, "x"]}, [], {}, ["a", 1], [["b"]], {"ä": "ö"}, {"c": {"d": 1.5}})
OPERATORS = (
    "IS", "IS_NOT", "CONTAINS", "NOT_CONTAINS", "ANY_OF", "NOT_ANY_OF", "SET", "NOT_SET", "GT", "LT", "IS_TRUE",
    "IS_FALSE", "AFTER", "BEFORE", "DATE_AFTER", "DATE_BEFORE",
)  # fmt: skip
FIELDS = (
    "user.id", "user.roles", "user.roles.0", "user.n", "user.profile", "user.profile.tags", "user.profile.tags.0",
    "user.profile.x", "company.id", "company.tags", "company.plan", "other.list", "other.list.1", "other.flag",
    "absent",
)  # fmt: skip
DAYS = ("0", "30", "100000", "-100", "x")


def drawn_context(chance: Random) -> dict[str, Any]:
    """Return a context as `contextJson` takes it: three objects, lists, and one level of objects inside."""
    context: dict[str, Any] = {}
    for name in chance.sample(FIELDS, chance.randint(3, len(FIELDS))):
        root, *path = name.split(".")
        if path and not path[-1].isdigit():
            _set(chance, context.setdefault(root, {}), path)
    return context


def drawn_rules(chance: Random) -> list[dict[str, Any]]:
    """Return up to four rules, each a tree of filters."""
    return [{"filter": _filter(chance, depth=chance.randint(0, 3))} for _ in range(chance.randint(0, 4))]


def _set(chance: Random, inside: dict[str, Any], path: list[str]) -> None:
    if len(path) > 1:
        below = inside.setdefault(path[0], {})
        if isinstance(below, dict):
            below[path[1]] = _value(chance)
    elif path == ["id"]:
        inside["id"] = chance.choice(("u1", "a", 7, "42", "é"))
    else:
        inside[path[0]] = _value(chance)


def _value(chance: Random) -> Any:
    if chance.random() < 0.5:
        return chance.choice(SINGLE)
    return [chance.choice(chance.choice((OFTEN_SENT, SINGLE, INSIDE))) for _ in range(chance.choice((0, 1, 1, 2, 3)))]


def _filter(chance: Random, depth: int) -> dict[str, Any]:
    kind = chance.random()
    if depth and kind < 0.25:
        return {"type": "negation", "filter": _filter(chance, depth - 1)}
    if depth and kind < 0.8:
        filters = [_filter(chance, depth - 1) for _ in range(chance.randint(0, 4))]
        return {"type": "group", "operator": chance.choice(("and", "or")), "filters": filters}
    if kind > 0.95:
        return {"type": "constant", "value": chance.random() < 0.5}
    name = chance.choice(FIELDS)
    if kind > 0.88:
        threshold = chance.choice((0, 25_000, 50_000, 100_000))
        return {
            "type": "rolloutPercentage",
            "key": "f",
            "partialRolloutAttribute": name,
            "partialRolloutThreshold": threshold,
        }
    return _comparison(chance, name)


def _comparison(chance: Random, name: str) -> dict[str, Any]:
    operator = chance.choice(OPERATORS)
    texts = DAYS if operator in {"AFTER", "BEFORE"} else (*TEXTS, '{"b":[true,null,"x"]}', '["a",1]')
    values = [chance.choice(chance.choice((texts, OFTEN))) for _ in range(chance.randint(1, 3))]
    return {"type": "context", "field": name, "operator": operator, "values": values}
