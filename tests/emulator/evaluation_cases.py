"""Makes the cases on which our evaluation and the published packages must agree.

`python tests/emulator/evaluation_cases.py FOLDER` writes `evaluation_cases.json` again: the cases, and what the
packages in FOLDER/node_modules make of them (FOLDER: where `npm install` ran on `sdk/package.json`).
"""

import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

STORED = Path(__file__).with_name("evaluation_cases.json")
SCRIPT = Path(__file__).parent / "sdk" / "evaluate.js"
NOW_MS = 1_743_424_496_789  # 2025-03-31T12:34:56.789Z: the 31st, so that a month ago needs care
DAY_MS = 86_400_000

TEXTS = [
    "",
    " ",
    "pro",
    "Pro",
    "PRO",
    "enterprise",
    "pr\u00f6",
    "pro\u0308",
    "\u0130stanbul",
    "\u039f\u0394\u039f\u03a3",
    "stra\u00dfe",
    "true",
    "True",
]
TEXT_VALUES = ["", "pro", "PRO", "r", "\u00d6", "i\u0307", "\u03c3", "SS", "true"]
NUMBERS = [
    "", " ", "0", "-0", "42", " 42 ", "42.0", "4.2e1", "0x2A", "0b101010", "0o52", "-0x2A", "+42", "1_000",
    "1,000", "inf", "Infinity", "-Infinity", "NaN", "\u0661\u0662", "\ufeff42\u00a0", "42abc", ".5", "5.", ".", "1e400",
    "9007199254740993", "00042", "true", "\u200b42", "0x", "1e", "--1",
]  # fmt: skip
NUMBER_VALUES = ["42", "", "41.999", "0x2B", "abc", "-1", "Infinity", "9007199254740992"]
DATES = [
    "2025-03-31T12:34:56.789Z", "2025-03-31T12:34:56.790Z", "2025-03-31T12:34:56.788Z", "2025-03-01T12:34:56.789Z",
    "2025-03-01T12:34:56.788Z", "2025-03-01T12:34:56.790Z", "2025-03-31", "2025-03", "2025", "2025-03-31T12:34:56.789",
    "2025-03-31T14:34:56.789+02:00", "2025-03-31T12:34:56.789-00:30", "2025-03-31 12:34:56", "2025-03-31T12:34Z",
    "2025-02-30", "2025-02-32", "2025-13-01", "2025-03-31T24:00:00Z", "2025-03-31T25:00:00Z",
    "2025-03-31T12:34:56.7891234Z", "1743424496789", "1743424496", "", "yesterday", "0001-01-01",
    "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z", "2025-04-01T12:34:56.789Z", "2025-03-29T12:34:56.789Z",
    "2025-03-30T12:34:56.789Z", "Mar 31, 2025", "Mon, 31 Mar 2025 12:34:57 GMT", "3/31/2025 3:04 PM", "31/3/2025", "5",
]  # fmt: skip
DAYS = ["0", "1", "30", "31", "1.5", "0.5", "30.5", "-1", "", "abc", "1e3", "Infinity", "99999999999", "0x1E"]
TRUTHS = ["true", "false", "True", "FALSE", "1", "0", "", "yes", " true"]

# The values that a field takes, and those that it is compared with, for every operator.
POOLS = {
    **dict.fromkeys(("IS", "IS_NOT", "CONTAINS", "NOT_CONTAINS"), (TEXTS, TEXT_VALUES)),
    **dict.fromkeys(("GT", "LT"), (NUMBERS, NUMBER_VALUES)),
    **dict.fromkeys(("AFTER", "BEFORE"), (DATES, DAYS)),
    **dict.fromkeys(
        ("DATE_AFTER", "DATE_BEFORE"), (DATES, ["2025-03-31T12:34:56.789Z", "2025-03-31", "2025", "", "never"])
    ),
    **dict.fromkeys(("SET", "NOT_SET", "IS_TRUE", "IS_FALSE"), ([*TRUTHS, *TEXTS], [None])),
    **dict.fromkeys(("ANY_OF", "NOT_ANY_OF"), (TEXTS, TEXT_VALUES)),
    "NEVER_HEARD_OF": (["pro"], ["pro"]),
}
# What is no text in a context becomes one.
OTHERS = [
    None, True, False, 0, -0.0, 42, 42.0, 4.25, 1e21, 1e20, 1e-6, 1e-7, 123456789012345680000, 9007199254740993, [], {},
    ["pro", 42], {"0": "pro"}, [[]], [None, True],
]  # fmt: skip
THRESHOLDS = [0, 1, 0.5, 50_000, 99_999, 100_000, 100_001, -1]
HASH_OF_ALL_ONES = "117761"  # with the key "huddle" it hashes to 100000, which no threshold up to 100000 lets in


def cases(seed=1, nested=160):
    """Return every case: each operator with each of its values, then rollouts, then random nests of all."""
    rng = random.Random(seed)  # noqa: S311  # repeatable, not secret
    yield from single_operators(rng)
    yield from texts_of_others()
    yield from rollouts(rng)
    yield from shapes()
    for _ in range(nested):
        yield {"context": any_context(rng), "rules": [any_filter(rng, 3) for _ in range(rng.randint(0, 4))]}


def single_operators(rng):
    """Return each field value with each value to compare with, eight rules at a time to keep the file small."""
    for operator, (fields, values) in POOLS.items():
        for field, some in itertools.product([*fields, None], grouped(values, 8)):
            context = {"company": {"id": "c"}} if field is None else {"company": {"id": "c", "x": field}}
            yield {"context": context, "rules": [context_filter(rng, operator, "company.x", value) for value in some]}


def texts_of_others():
    """Return contexts whose values are no texts."""
    for other in OTHERS:
        fields = ["x", "x.0", "x.1", "x.0.0"]
        rules = [{"type": "context", "field": field, "operator": "SET"} for field in fields]
        rules += [
            {"type": "context", "field": field, "operator": "IS", "values": [value]}
            for field, value in itertools.product(fields[:2], ("", "true", "0", "42", "4.25", "1e+21", "1e-7", "pro"))
        ]
        yield {"context": {"x": other}, "rules": rules}


def rollouts(rng):
    """Return rollouts at, below and above their thresholds, of ids and of other attributes."""
    for value in [
        HASH_OF_ALL_ONES,
        "",
        "acme",
        "\u00fc/%",
        42,
        42.0,
        True,
        None,
        [],
        *(str(rng.random()) for _ in range(25)),
    ]:
        filters = [rollout("huddle", "company.id", threshold) for threshold in THRESHOLDS]
        yield {"context": {"company": {"id": value}}, "rules": [*filters, rollout("other", "company.id", 50_000)]}
    yield {
        "context": {"user": {"id": "u"}},
        "rules": [rollout("huddle", "company.id", 100_000), rollout("huddle", "user.id", 100_000)],
    }


def shapes():
    """Return what is at the edges: nothing at all, empty groups, unknown types, absent fields under negations."""
    absent = {"type": "context", "field": "nobody.knows", "operator": "IS", "values": ["x"]}
    also = {"type": "context", "field": "nor.this", "operator": "GT", "values": ["1"]}
    yes, no = ({"type": "constant", "value": value} for value in (True, False))
    groups = [
        {"type": "group", "operator": operator, "filters": filters}
        for operator, filters in itertools.product(
            ("and", "or", "xor"),
            ([], [yes], [no], [yes, absent], [no, absent], [absent, also], [also, yes, absent, also]),
        )
    ]
    negations = [{"type": "negation", "filter": inner} for inner in [yes, no, absent, *groups]]
    unknown = [{"type": "moon"}, {"type": "negation", "filter": {"type": "moon"}}]
    contexts = [
        {},
        {"nobody": {}},
        {"nobody": {"knows": "x"}},
        {"nobody.knows": "y", "nobody": {"knows": "x"}},
        {"": {"a": 1}},
    ]
    for context in contexts:
        yield {"context": context, "rules": []}
        yield {"context": context, "rules": [absent, *unknown, {"type": "context", "field": "", "operator": "SET"}]}
        yield {"context": context, "rules": groups}
        yield {"context": context, "rules": negations}


def any_context(rng):
    """Return a context with some of the fields that the random filters ask for."""
    company = {"id": rng.choice(["acme", "beta", 42]), "x": any_value(rng), "deep": {"y": any_value(rng)}}
    user = {"id": rng.choice(["u1", 99]), "x": any_value(rng), "tags": [any_value(rng), "b"]}
    kept = {
        name: {field: value for field, value in fields.items() if rng.random() < 0.75}
        for name, fields in (("company", company), ("user", user))
    }
    return {name: fields for name, fields in kept.items() if rng.random() < 0.9}


def any_value(rng):
    """Return one value of any pool."""
    return rng.choice(rng.choice([TEXTS, NUMBERS, DATES, TRUTHS, OTHERS]))


def any_filter(rng, depth):
    """Return a filter of any type, with others inside down to a depth."""
    kind = rng.choice(
        ["context", "context", "rollout", "constant"] if depth == 0 else ["context", "group", "group", "negation"]
    )
    match kind:
        case "context":
            operator = rng.choice(list(POOLS))
            return context_filter(rng, operator, rng.choice(FIELDS), rng.choice(POOLS[operator][1]))
        case "rollout":
            return rollout(
                rng.choice(["huddle", "other"]),
                rng.choice(["company.id", "user.id", "company.x"]),
                rng.choice(THRESHOLDS),
            )
        case "constant":
            return {"type": "constant", "value": rng.random() < 0.5}
        case "negation":
            return {"type": "negation", "filter": any_filter(rng, depth - 1)}
        case _:
            inner = [any_filter(rng, depth - 1) for _ in range(rng.randint(0, 3))]
            return {"type": "group", "operator": rng.choice(["and", "or"]), "filters": inner}


FIELDS = [
    "company.id",
    "company.x",
    "company.deep.y",
    "company.deep",
    "user.id",
    "user.x",
    "user.tags",
    "user.tags.0",
    "user.tags.1",
]


def context_filter(rng, operator, field, value):
    """Return a context filter with as many values as its operator takes."""
    node = {"type": "context", "field": field, "operator": operator}
    if value is None:
        return node if rng.random() < 0.5 else {**node, "values": []}
    if operator in {"ANY_OF", "NOT_ANY_OF"}:
        return {**node, "values": rng.choice([[], [value], [value, "enterprise"], ["x", "y", value]])}
    return {**node, "values": [value]}


def rollout(key, attribute, threshold):
    """Return a rollout filter."""
    return {
        "type": "rolloutPercentage",
        "key": key,
        "partialRolloutAttribute": attribute,
        "partialRolloutThreshold": threshold,
    }


def grouped(values, size):
    """Cut a list into pieces."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def by_the_packages(folder, some):
    """Let the packages in a folder evaluate cases; return a list of results for each package."""
    answer = subprocess.run(
        ["node", SCRIPT],
        input=json.dumps({"now": NOW_MS, "cases": some}),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "TZ": "UTC"},
        timeout=60,
    )
    return json.loads(answer.stdout)


def main():
    """Write the stored cases again."""
    some = list(cases())
    one, other = by_the_packages(sys.argv[1], some).values()
    assert one == other, "the packages disagree"
    lines = [
        json.dumps({**case, "expected": result}, separators=(",", ":")) for case, result in zip(some, one, strict=True)
    ]
    STORED.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
