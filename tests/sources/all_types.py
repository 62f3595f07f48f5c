"""A table of 200 rows with every type, as texts; its types and its fields are those of the table in docs/sources.md."""

import json
import random
import re
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "sources.md"
ROWS = 200
PLACES = ("PostgreSQL", "MariaDB", "SQLite", "DuckDB", "Parquet", "Delta", "Iceberg")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Documented:
    """A line of the table: the column's type in each place, how it is read, and an example."""

    name: str
    types: dict[str, str]
    words: str
    example: str
    sent: str


def documented() -> list[Documented]:
    """Read the table of the docs."""
    text = DOCS.read_text("utf-8").partition("### the same value from every source")[2]
    lines = re.findall(r"^\| (?!column)(\w.*) \|$", text.partition("\n- ")[0], flags=re.MULTILINE)
    found = []
    for line in lines:
        name, *cells = (cell.strip().strip("`") for cell in line.split(" | "))
        found.append(Documented(name, dict(zip(PLACES, cells, strict=False)), *cells[len(PLACES) :]))
    return found


def fields(names: Collection[str] = ()) -> str:
    """Spell the pipeline's fields, all or some: the same for every source."""
    wanted = [one for one in documented() if not names or one.name in names]
    attributes = [f"{one.name}: {{column: {one.name}, {one.words}}}" for one in wanted]
    lines = "".join(f"      {line}\n" for line in attributes)
    return f"    companyId: id\n    userId: whole\n    attributes:\n{lines}"


HARD = (
    "", " ", "00123", "null", "NULL", "true", "1e5", "-0", "NaN", "a,b;c|d", 'say "hi"', "it's", "back\\slash\\n",
    "tab\there", "two\nlines", "crlf\r\nhere", "cr\ralone", "\u2028\u2029", "\x01\x1f\x7f", "Ünï 🪣 👩‍👩‍👧",
    "e\u0301 \u00e9", "שלום", "\ufeffbom", "\U0010ffff\ufffd", " padded ",
    "</script>${HOME}%s{0}", "'; drop table types; --",
)  # fmt: skip
EDGES = {
    "small": ("0", "-7", "32767", "-32768"),
    "whole": ("0", "-1", "9007199254740991", "9007199254740993", "-9007199254740993", "9223372036854775807",
              "-9223372036854775808"),
    "positive": ("0", "1", "18446744073709551615", "9007199254740992", "9223372036854775808"),
    "price": ("0.00", "-0.01", "1.10", "-1.50", "9999999999.99", "100.00", "0.10"),
    "exact": ("0.0000000000", "1234567890123456789.1250000000", "-0.0000000001", "9007199254740993.0000000000",
              "123456789012.345", "1234567890123.4567", "9999999999999999999999999999.9999999999", "0.1"),
    "free": ("0.500", "7", "0.333333333", "-100.000", "123456789012345678901.123456789", "9007199254740991"),
    "huge": ("0", "1.10", "-9876543210987654321098765432109876543210.5", "9007199254740993", "12.5000000000",
             "1234567890123456789012345678901234567890.0123456789"),
    "ratio": ("0.0", "-0.0", "NaN", "0.1", "1e-7", "1.5e300", "1e15", "9007199254740991", "9007199254740994", "1e22",
              "123456789.125", "-2.5", "3e-300", "100000.0", "1e16", "1e40"),
    "single": ("0.0", "0.1", "-3.25", "16777216", "0.3333333", "123456.8", "1e10", "1e-5"),
    "paid": ("true", "false"),
    "name": HARD,
    "day": ("2026-01-31", "2024-02-29", "1970-01-01", "1000-01-01", "9999-12-31", "1582-10-14", "1969-12-31"),
    "clock": ("00:00:00", "08:15:00.5", "23:59:59.999999", "12:30:00", "00:00:00.000001"),
    # the last two: a local time that does not exist, and one that exists twice
    "local": ("2026-01-31 08:15:00.123456", "1969-12-31 23:59:59.999999", "2026-07-01 00:00:00",
              "2026-03-29 02:30:00", "2026-10-25 02:30:00"),
    "moment": ("2026-01-31 08:15:00.123456+00:00", "2026-06-30 23:59:59.999999+00:00", "2037-12-31 00:00:00+00:00",
               "1970-01-02 00:00:00+00:00", "2026-01-31 08:15:00+05:30", "2026-01-31 08:15:00-08:00"),
    "far": ("1066-10-14 09:00:00+00:00", "1969-12-31 23:59:59.999999+00:00", "9998-12-31 23:59:59.999+00:00",
            "1000-01-01 00:00:00+00:00"),
    "token": ("6f0a4f2e-0000-4000-8000-000000000001", "00000000-0000-0000-0000-000000000000",
              "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    "span": ("P1Y2DT3.5S", "PT0S", "P1M", "P11M30DT23H59M59.999S", "PT23H", "P400D", "P1Y1M1DT1H1M1S", "PT0.001S"),
    "elapsed": ("PT36H0.5S", "PT0S", "PT-0.5S", "PT-1H-30M", "PT1M", "PT0.000001S", "PT100000H"),
    "doc": ('{"a": {"n": 1.10}, "t": [true, "x"]}', "{}", "[]", "null", "7", '"00123"', "[[1, [2.50]], {}]",
            '{"n": 9007199254740993, "d": 12345678901234567890.125, "f": 0.1, "e": 1e5}',
            '{"u": "\u00fc\u2028\\ud83e\\udea3", "q\\"uote": "\\n", "with.dot": 1, "": 2}', '{"no": null, "b": false}'),
    "tags": ('["a", "b"]', "[]", '["", null, "say \\"hi\\""]', '["00123", "null"]'),
    "wholes": ("[1, 9007199254740993]", "[]", "[null, -1]", "[9223372036854775807, 0]"),
    "address": ('{"city": "Oslo", "zip": "0150", "rooms": 3, "since": "2026-01-31"}',
                '{"city": "", "zip": null, "rooms": null, "since": null}',
                '{"city": "S\u00e3o \\"P\\"", "zip": "00", "rooms": 9007199254740993, "since": "1969-12-31"}'),
    "labels": ('{"tier": "gold"}', "{}", '{"b": "2", "a": "1"}', '{"a b": "x", "\u00fc": ""}'),
    "image": ("00ff", "", "deadbeef", "7b7d"),
}  # fmt: skip


def _more(name: str, some: random.Random) -> str:
    """Make up one more value of a column."""
    micros = some.randrange(0, 2_000_000_000_000_000)
    moment = EPOCH + timedelta(microseconds=micros)
    made = {
        "small": lambda: str(some.randrange(-1000, 1000)),
        "whole": lambda: str(some.randrange(-(2**62), 2**62) >> some.randrange(60)),
        "positive": lambda: str(some.randrange(2**64) >> some.randrange(60)),
        "price": lambda: f"{some.randrange(-(10**9), 10**9)}.{some.randrange(100):02}",
        "exact": lambda: f"{some.randrange(10**18)}.{some.randrange(10**10):010}",
        "free": lambda: f"{some.randrange(-(10**6), 10**6)}.{some.randrange(10**6):06}",
        "huge": lambda: f"{some.randrange(10**39)}.{some.randrange(10**10):010}",
        "ratio": lambda: str(some.randrange(-(10**9), 10**9) / 64),
        "single": lambda: str(some.randrange(-(10**5), 10**5) / 4),
        "paid": lambda: some.choice(("true", "false")),
        "name": lambda: "".join(some.choice('abcæøå🪣 "\\,\n\t') for _ in range(some.randrange(12))),
        "day": lambda: moment.date().isoformat(),
        "clock": lambda: f"{moment:%H:%M:%S}",
        "local": lambda: f"{moment:%Y-%m-%d %H:%M:%S.%f}",
        "moment": lambda: f"{moment:%Y-%m-%d %H:%M:%S.%f}+00:00",
        "far": lambda: f"{some.randrange(1000, 9999)}-01-01 00:00:00+00:00",
        "token": lambda: str(uuid.UUID(int=some.randrange(2**128), version=4)),
        "span": lambda: f"P{some.randrange(1, 9)}Y{some.randrange(1, 12)}M{some.randrange(1, 99)}DT{micros % 59 + 1}S",
        "elapsed": lambda: f"PT{some.randrange(1, 99)}H{some.randrange(1, 60)}M",
        "doc": lambda: json.dumps({"n": some.randrange(10**6) / 8, "l": [some.random() < 0.5, str(micros)]}),
        "tags": lambda: json.dumps([str(some.randrange(99)) for _ in range(some.randrange(4))]),
        "wholes": lambda: json.dumps([some.randrange(2**62) >> some.randrange(60) for _ in range(some.randrange(4))]),
        "address": lambda: json.dumps({"city": "B", "zip": str(some.randrange(9999)).zfill(4), "rooms": micros % 9,
                                       "since": moment.date().isoformat()}),
        "labels": lambda: json.dumps({"k": str(some.randrange(9))}),
        "image": lambda: some.randbytes(some.randrange(6)).hex(),
    }  # fmt: skip
    return made[name]()


def texts() -> dict[str, list[str | None]]:
    """Return the table: of each column first the hardest values and a null, then others, each tenth of them null."""
    found: dict[str, list[str | None]] = {"id": [f"{number:05}" for number in range(ROWS)]}
    for name, edges in EDGES.items():
        some = random.Random(name)  # noqa: S311  # repeatable, not secret
        made = [None if some.random() < 0.1 else _more(name, some) for _ in range(ROWS)]
        found[name] = [*edges, None, *made][:ROWS]
    return found
