"""The nine shapes: what each column is in the source, what the pipeline says of it, and which record it makes.

Eight of them say the same: two ids, a feature, a time, and twelve values. The wide one has a hundred values more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.exports import EVENTS

ZONE: Final = "Europe/Copenhagen"
ISO: Final = "'%Y-%m-%dT%H:%M:%S.%gZ'"
LOCAL: Final = "'%d.%m.%Y %H:%M'"
WIDE: Final = 120

# The usage export, and seven values that make twelve. What looks random is the same for the same row.
ROWS: Final = f"""
    SELECT *, ['free', 'team', 'pro', 'enterprise'][1 + (hash(usage_id, 1) % 4)::INTEGER] AS plan_tier,
           ['app', 'api', 'import'][1 + (hash(usage_id, 2) % 3)::INTEGER] AS channel,
           ['ios', 'android', 'mac', 'windows'][1 + (hash(usage_id, 3) % 4)::INTEGER] AS os,
           hash(usage_id, 4) % 20 || '.' || hash(usage_id, 5) % 10 AS os_version,
           ['da-DK', 'de-DE', 'en-GB'][1 + (hash(usage_id, 6) % 3)::INTEGER] AS locale,
           (320 + hash(usage_id, 7) % 2000)::INTEGER AS screen_width,
           hash(usage_id, 8) % 3 = 0 AS is_touch
    FROM ({EVENTS})
"""
IDS: Final = ("usage_id", "user_id", "account_id", "feature_name")
USAGE: Final = ("usage_count", "duration_seconds", "is_beta", "region", "note", "plan_tier", "channel")
DEVICE: Final = ("os", "os_version", "locale", "screen_width", "is_touch")
ISO_TEXT: Final = f"strftime(used_at, {ISO}) AS used_at"
LOCAL_TEXT: Final = f"strftime(timezone('{ZONE}', timezone('UTC', used_at)), {LOCAL}) AS used_at"
IN_USAGE: Final = ("usage_count", "duration_seconds", "is_beta", "region", "note", "screen_width", "is_touch")
NESTED: Final = f"""
    {{{", ".join(f"{name}: {name}" for name in IN_USAGE)}}} AS usage, [plan_tier, channel] AS tags,
    MAP {{'os': os, 'os_version': os_version, 'locale': locale}} AS device
"""
JSON: Final = f"""
    to_json({{{", ".join(f"{name}: {name}" for name in USAGE)},
              device: {{{", ".join(f"{name}: {name}" for name in DEVICE)}}}}})
"""
OTHERS: Final = (
    "(hash(usage_id, {n}) % 1000)::INTEGER",
    "(hash(usage_id, {n}) % 100000) / 100.0",
    "hash(usage_id, {n}) % 2 = 0",
    "'text ' || hash(usage_id, {n}) % 5000",
)


def _same(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}


IN_JSON: Final = {f"properties.{name}": f"properties->'$.{name}'" for name in USAGE} | {
    f"properties.device.{name}": f"properties->'$.device.{name}'" for name in DEVICE
}
OTHER_COLUMNS: Final = {
    f"value_{n:03}": OTHERS[n % len(OTHERS)].format(n=n + 100)
    for n in range(WIDE - len((*IDS, "used_at", *USAGE, *DEVICE)))
}
TYPED: Final = """
        usage_count: {column: usage_count, type: integer}
        duration_seconds: {column: duration_seconds, type: number}
        is_beta: {column: is_beta, type: boolean}
        screen_width: {column: screen_width, type: integer}
        is_touch: {column: is_touch, type: boolean}"""
AS_JSON: Final = "\n        properties: {column: properties, type: json}"


@dataclass(frozen=True)
class Shape:
    """One form that a team's events have.

    Attributes:
        name: as options spell it.
        title: as people read it.
        form: of the source: the end of a file's name, or the database that has it.
        values: SQL for its columns beside ids and time, over `ROWS`.
        used_at: SQL for the time's column.
        attributes: what the record has: each name, and SQL over the source's columns.
        sent_at: the record's time, as SQL over the source's columns.
        timestamp: the same, as the pipeline says it.
        fields: what the pipeline says of single attributes, beside `"*"`.
        share: of the rows asked for.
        of_flat: the rate to reach, as a share of flat Parquet's; none where only bytes compare.
        of_loop: the rate to reach, as a multiple of the loop's.
    """

    name: str
    title: str
    form: str
    values: str = ", ".join((*USAGE, *DEVICE))
    used_at: str = "used_at"
    attributes: Mapping[str, str] = field(default_factory=lambda: _same((*USAGE, *DEVICE)))
    sent_at: str = f"strftime(used_at, {ISO})"
    timestamp: str = "{column: used_at, timezone: UTC}"
    fields: str = ""
    share: float = 1.0
    of_flat: float | None = None
    of_loop: float | None = None

    def rows(self, count: int) -> str:
        """Return SQL for the source's rows."""
        return f"SELECT {', '.join(IDS)}, {self.used_at}, {self.values} FROM ({ROWS.format(rows=count)})"

    def records(self, rows: str) -> str:
        """Return SQL for the records of rows."""
        attributes = ", ".join(f"'{name}': {value}" for name, value in self.attributes.items())
        return (
            f'SELECT \'event\' AS type, user_id AS "userId", account_id AS "companyId", feature_name AS event, '
            f"{self.sent_at} AS timestamp, {{{attributes}}} AS attributes FROM {rows}"
        )


TEXT_TIME: Final[dict[str, Any]] = {"used_at": ISO_TEXT, "sent_at": "used_at", "timestamp": "used_at"}
SHAPES: Final = (
    Shape("flat", "Parquet, flat columns", "parquet"),
    Shape(
        "nested", "Parquet: a struct, a list and a map", "parquet", values=NESTED, of_flat=0.6, of_loop=2.5,
        attributes={f"usage.{name}": f"usage.{name}" for name in IN_USAGE} | {"tags": "tags"} | {
            f"device.{name}": f"device['{name}']" for name in ("os", "os_version", "locale")
        },
    ),
    Shape(
        "json-text", "Parquet: a JSON text of 12 members", "parquet", values=f"{JSON}::VARCHAR AS properties",
        attributes=IN_JSON, fields=AS_JSON, of_flat=0.6, of_loop=2.5,
    ),
    Shape(
        "json-lines", "JSON Lines, the same members", "jsonl", values=f"{JSON} AS properties", attributes=IN_JSON,
        of_flat=0.6, of_loop=2.5, **TEXT_TIME,
    ),
    Shape("csv", "CSV, ISO times", "csv", fields=TYPED, of_flat=0.8, **TEXT_TIME),
    Shape(
        "csv-local", "CSV, `%d.%m.%Y %H:%M` in a zone", "csv", used_at=LOCAL_TEXT, fields=TYPED, of_flat=0.8,
        sent_at=f"strftime(timezone('UTC', timezone('{ZONE}', strptime(used_at, {LOCAL}))), {ISO})",
        timestamp=f'{{column: used_at, format: "%d.%m.%Y %H:%M", timezone: {ZONE}, dst: earliest}}',
    ),
    Shape("sqlite", "SQLite", "sqlite", fields=TYPED, of_flat=0.5, **TEXT_TIME),
    Shape(
        "postgres", "PostgreSQL, jsonb of the same members", "postgres", values=f"{JSON}::VARCHAR AS properties",
        used_at="timezone('UTC', used_at) AS used_at", attributes=IN_JSON, of_flat=0.5,
        sent_at=f"strftime(timezone('UTC', used_at), {ISO})", timestamp="used_at",
    ),
    Shape(
        "wide", f'Parquet, {WIDE} columns, `"*"`', "parquet", share=0.2,
        values=", ".join((*USAGE, *DEVICE, *(f"{sql} AS {name}" for name, sql in OTHER_COLUMNS.items()))),
        attributes=_same((*USAGE, *DEVICE, *OTHER_COLUMNS)),
    ),
)  # fmt: skip
