"""Write the sample exports, and the list of the bad rows in them. The same bytes at every run.

    python sample_data/make.py [FOLDER]

The exports are those of Tidewick, an invented company that sells a planning board to boatyards. Names, people and
numbers are made up. Every row that the loader has to reject is written on purpose, by `BadRows.add`.
"""  # noqa: INP001  # a script beside its data, not a package

import csv
import io
import json
import random
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

SEED: Final = 20250101
USERS: Final = 1_190
COMPANIES: Final = 148
EVENTS: Final = 6_000
ANSWERS: Final = 246
SECOND_HOMES: Final = 110  # users who work for two boatyards

BIG_ID: Final = 2**53 + 1  # the first whole number that a float cannot hold
YEAR: Final = datetime(2025, 1, 1, tzinfo=UTC)
YEAR_S: Final = 365 * 24 * 3600

FIRST_NAMES: Final = (
    "Ida", "Søren", "Jürgen", "Maëlle", "Åse", "Tomasz", "Noor", "Zoë", "Piet", "Lúcia", "Björn", "Amina", "Ravi",
    "Hana", "Oskar", "Greta", "Ines", "Yusuf", "Mila", "Colm",
)  # fmt: skip
LAST_NAMES: Final = (
    "Quillfeather", "Marskov", "Tøndersby", "Oakenquay", "Fjordling", "Brackenridge-Vos", "O'Merrin", "Wülfenau",
    "Saltmarch", "Perrigaud", "Dunlowe", "Ankersheim", "Veltrup", "Ironmere", "Lanternby", "Grönvik", "Hasselwade",
)  # fmt: skip
YARD_WORDS: Final = (
    "Copperquay", "Halvard", "Brinehollow", "Fennmark", "Gullwing", "Tarnish", "Nordkiel", "Seabright", "Osprey Slip",
    "Käpt'n Ahlers", "Driftholm", "Blåsund", "Larkspur", "Three Anchors", "Pebblewick", "Quarterdeck", "Mistral Bay",
)  # fmt: skip
YARD_KINDS: Final = (
    "Boatworks", "Rigging", "Sailmakers, Ltd", "Marine Joinery", "Yard", "Engines & Sons", "Hull Repair", '"Slipway"',
)  # fmt: skip
CITIES: Final = (("Kragsund", "DK"), ("Hollenvik", "NO"), ("Wyndhaven", "GB"), ("Altmünde", "DE"), ("Levantine", "FR"))
TAGS: Final = ("wood", "steel", "winter-storage", "racing", "charter", "refit")
PLANS: Final = ("Free", "Team", "Team", "Fleet", "fleet")
NOTES: Final = (
    "", "", "", "", "prefers email", "asked for a demo, twice", 'calls the board "the wall"', "owner's daughter",
    "on leave until spring;\ncover is with the front desk", "spricht Deutsch",
)  # fmt: skip
EVENT_NAMES: Final = (
    "job created", "job created", "job moved", "job moved", "job moved", "quote sent", "part reserved",
    "photo uploaded", "checklist completed", "invoice exported",
)  # fmt: skip
FEATURES: Final = ("quote-builder", "crew-calendar", "parts-inventory", "photo-log", "customer-portal")
COMMENTS: Final = (
    "", "", "", "Saves me an hour a week.", "Where did the print button go?", "Works well, even on the pontoon.",
    "Too many clicks for a small job", "The crew likes it,\nthe office does not yet.", "Dejlig enkel!",
    'Please add "copy from last year".', "Slow on our old tablet.",
)  # fmt: skip

Item = TypeVar("Item")
Row = tuple[Any, ...]


class Dice:
    """Chance that falls the same way on every machine: of `random`, only `random()` promises that between versions."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # sample data, no secret

    def below(self, bound: int) -> int:
        """Give a whole number from 0 to `bound - 1`."""
        return int(self._random.random() * bound)

    def pick(self, items: Sequence[Item]) -> Item:
        """Give one of the items."""
        return items[self.below(len(items))]

    def chance(self, percent: int) -> bool:
        """Say yes in so many cases of a hundred."""
        return self.below(100) < percent


class BadRows:
    """The rows that the loader promises to reject, by the file or table that they are in."""

    def __init__(self) -> None:
        self.found: dict[str, list[dict[str, Any]]] = {}

    def add(self, place: str, row: int, verdict: tuple[str, str], why: str) -> None:
        """Note a row by its number, from 1, and the stage and code that it is rejected with."""
        stage, code = verdict
        rows = self.found.setdefault(place, [])
        rows.append({"row": row, "stage": stage, "code": code, "why": why})
        rows.sort(key=lambda entry: int(entry["row"]))


def write_all(folder: Path) -> None:
    """Write every file of this folder that is data."""
    folder.mkdir(parents=True, exist_ok=True)
    bad = BadRows()
    dice = Dice(SEED)
    companies = company_ids()
    users = user_ids()
    homes = {user: dice.pick(companies) for user in users}
    (folder / "users.csv").write_bytes(users_csv(users, dice, bad))
    write_companies(folder / "companies.parquet", companies, dice, bad)
    write_warehouse(folder / "warehouse.db", memberships(homes, companies, dice, bad), events(homes, dice, bad))
    (folder / "feedback.csv").write_bytes(feedback_csv(users, dice, bad))
    (folder / "bad_rows.json").write_bytes(spelt(bad))


def spelt(bad: BadRows) -> bytes:
    """Spell the list with one bad row a line."""
    places = []
    for place, rows in bad.found.items():
        lines = ",\n".join(f"    {json.dumps(row)}" for row in rows)
        places.append(f"  {json.dumps(place)}: [\n{lines}\n  ]")
    return ("{\n" + ",\n".join(places) + "\n}\n").encode()


# --- users.csv -----------------------------------------------------------------------------------------------------

USER_COLUMNS: Final = (
    "user_id", "name", "email", "signed_up", "is_admin", "seats", "weekly_hours", "nps", "plan", "note",
)  # fmt: skip


def user_ids() -> list[str]:
    """Give ids as the app pads them, and three from before it did: `123` is not `00123`."""
    return [f"{number:05d}" for number in range(1, USERS - 2)] + ["7", "42", "123"]


def user_row(user: str, dice: Dice) -> list[str]:
    """Make up one user."""
    first, last = dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES)
    name = dice.pick((f"{first} {last}", f"{first} {last}", f"{first} {last}", f"{last}, {first}"))
    name = f'{first} "Skipper" {last}' if dice.chance(2) else name
    day = datetime(2019, 3, 1, tzinfo=UTC) + timedelta(days=dice.below(2_400))
    signed_up = day.strftime("%d-%m-%Y")
    if dice.chance(40):
        signed_up += f" {7 + dice.below(12):02d}:{dice.below(60):02d}"
    return [
        user,
        name,
        f"person{user}@example.com",
        signed_up,
        "yes" if dice.chance(15) else "no",
        str(1 + dice.below(12)) if dice.chance(90) else "",
        dice.pick(("37", "37.0", "37.5", "32", "20.25", "")),
        dice.pick(("n/a", "", *(str(score) for score in range(11)))),
        dice.pick(PLANS),
        dice.pick(NOTES),
    ]


def users_csv(users: list[str], dice: Dice, bad: BadRows) -> bytes:
    """Write the users: some twice, because they changed while the export ran, and nine bad ones."""
    rows = [user_row(user, dice) for user in users]
    for number in (11, 305, 777):
        again = [*rows[number]]
        again[5] = "99"
        rows.append(again)
    lines = [csv_line(row) for row in rows]
    valid = dict(zip(USER_COLUMNS, user_row("", dice), strict=True)) | {"signed_up": "05-05-2024", "seats": "2"}

    def insert(row: int, line: bytes, verdict: tuple[str, str], why: str) -> None:
        lines.insert(row - 1, line)
        bad.add("users.csv", row, verdict, why)

    def with_value(user: str, **values: str) -> bytes:
        return csv_line((valid | {"user_id": user, "email": f"person{user}@example.com"} | values).values())

    insert(17, with_value("", name="Nobody Yet"), ("validate", "missing"), "no user_id")
    insert(104, with_value("02001", signed_up="31-02-2025"), ("map", "timestamp"), "there is no 31 February")
    insert(
        230,
        with_value("02002", signed_up="30-03-2025 02:30"),
        ("map", "local_time"),
        "a time that the clocks skipped in Copenhagen",
    )
    insert(342, b"02003,Cut Short,person02003@example.com\n", ("read", "width"), "3 fields, the header has 10")
    insert(
        431,
        with_value("02004", note="fine").rstrip(b"\n") + b",,left over\n",
        ("read", "width"),
        "12 fields, the header has 10",
    )
    insert(
        566,
        with_value("02005", name="Bj?rn Latin").replace(b"?", b"\xf8"),
        ("read", "encoding"),
        "a byte that is not UTF-8 (an o with a stroke in Latin-1)",
    )
    insert(702, with_value("02006", note="pasted\0text"), ("read", "nul"), "a NUL character")
    insert(840, with_value("02007", seats="a dozen"), ("map", "integer"), "seats in words")
    insert(1_111, with_value("02008", is_admin="maybe"), ("map", "boolean"), "is_admin is neither yes nor no")
    return csv_line(USER_COLUMNS) + b"".join(lines)


def csv_line(values: Iterator[str] | Sequence[str] | Any) -> bytes:  # noqa: ANN401  # any iterable of texts
    """Spell one line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()


# --- companies.parquet ---------------------------------------------------------------------------------------------

COMPANY_SCHEMA: Final = pa.schema(
    [
        ("company_id", pa.int64()),
        ("name", pa.string()),
        ("plan", pa.string()),
        ("mrr", pa.decimal128(12, 2)),
        ("is_trial", pa.bool_()),
        ("churned", pa.bool_()),
        ("contract_start", pa.date32()),
        ("last_seen", pa.timestamp("us", tz="Europe/Copenhagen")),
        ("employees", pa.int32()),
        ("health", pa.float64()),
        ("region", pa.int16()),
        ("crm_key", pa.binary()),
        ("address", pa.struct([("city", pa.string()), ("country", pa.string()), ("zip", pa.string())])),
        ("tags", pa.list_(pa.string())),
    ]
)


def company_ids() -> list[int]:
    """Give the ids; the last came from a system with very large ones."""
    return [*range(1_001, 1_001 + COMPANIES - 1), BIG_ID]


def company_row(company: int | None, dice: Dice) -> dict[str, Any]:
    """Make up one boatyard."""
    trial = dice.chance(12)
    city, country = dice.pick(CITIES)
    seen = YEAR + timedelta(days=dice.below(360), microseconds=dice.below(86_400_000_000))
    return {
        "company_id": company,
        "name": f"{dice.pick(YARD_WORDS)} {dice.pick(YARD_KINDS)}",
        "plan": dice.pick(PLANS),
        "mrr": Decimal(0) if trial else Decimal(2_900 + 10 * dice.below(40_000)) / 100,
        "is_trial": trial,
        "churned": not trial and dice.chance(8),
        "contract_start": None if trial else date(2019, 1, 1) + timedelta(days=dice.below(2_400)),
        "last_seen": seen,
        "employees": 2 + dice.below(180) if dice.chance(85) else None,
        "health": round(dice.below(1_000) / 10, 1),
        "region": 1 + dice.below(9),
        "crm_key": (0xC0FFEE0000 + dice.below(65_536)).to_bytes(5, "big"),
        "address": {"city": city, "country": country, "zip": f"{dice.below(10_000):04d}"},
        "tags": [tag for tag in TAGS if dice.chance(30)],
    }


def write_companies(path: Path, companies: list[int], dice: Dice, bad: BadRows) -> None:
    """Write the boatyards, and two bad ones."""
    rows = [company_row(company, dice) for company in companies]
    rows[-1] |= {"name": 'Käpt\'n Ahlers "Slipway"', "churned": False}
    rows[20]["health"] = float("nan")
    rows.insert(62, company_row(None, dice) | {"churned": False})
    bad.add("companies.parquet", 63, ("validate", "missing"), "no company_id")
    rows.insert(110, company_row(2_001, dice) | {"churned": False, "health": float("inf")})
    bad.add("companies.parquet", 111, ("map", "infinity"), "health is infinite (a division by zero)")
    table = pa.Table.from_pylist(rows, schema=COMPANY_SCHEMA)
    pq.write_table(table, path, compression="none", write_page_checksum=True)


# --- warehouse.db --------------------------------------------------------------------------------------------------

TABLES: Final = """
CREATE TABLE memberships (user_id TEXT, company_id INTEGER, role TEXT, since TEXT);
CREATE TABLE events (event_id TEXT, user_id TEXT, company_id INTEGER, name TEXT, at TEXT, properties TEXT);
"""


def memberships(homes: dict[str, int], companies: list[int], dice: Dice, bad: BadRows) -> list[Row]:
    """Say who works where: everybody at home, some at a second boatyard, one nowhere."""
    pairs = list(homes.items())
    users = list(homes)
    pairs += [(dice.pick(users), dice.pick(companies)) for _ in range(SECOND_HOMES)]
    rows: list[Row] = []
    for user, company in dict.fromkeys(pairs):
        since = date(2019, 3, 1) + timedelta(days=dice.below(2_400))
        rows.append((user, company, dice.pick(("owner", "member", "member", "member", "guest")), since.isoformat()))
    rows.insert(900, ("00555", None, "member", "2024-04-01"))
    bad.add("warehouse.db memberships", 901, ("validate", "missing"), "no company_id")
    return rows


def properties(dice: Dice) -> str | None:
    """Make up an event's properties: JSON, sometimes nested, sometimes none."""
    if dice.chance(10):
        return None
    found: dict[str, Any] = {"via": dice.pick(("web", "phone", "api")), "minutes": dice.below(90)}
    if dice.chance(20):
        found["boat"] = {"length_m": 4 + dice.below(200) / 10, "hull": dice.pick(("wood", "steel", "grp"))}
    if dice.chance(8):
        found["parts"] = [f"P{dice.below(999):03d}" for _ in range(1 + dice.below(3))]
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def events(homes: dict[str, int], dice: Dice, bad: BadRows) -> list[Row]:
    """Make up a year of use, in order of time: some rows loaded twice, some without a company, four bad ones."""
    users = list(homes)
    rows: list[Row] = []
    for number, second in enumerate(sorted(dice.below(YEAR_S) for _ in range(EVENTS)), start=1):
        user = dice.pick(users)
        company = None if dice.chance(5) else homes[user]
        at = (YEAR + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S")
        rows.append((f"ev-{number:05d}", user, company, dice.pick(EVENT_NAMES), at, properties(dice)))
    for number in (4_100, 2_500, 900):
        rows.insert(number + 1, rows[number])

    def insert(row: int, verdict: tuple[str, str], why: str, **values: str | None) -> None:
        at = rows[row - 2][4]
        made = {"event_id": f"ev-bad-{row}", "user_id": "00042", "company_id": None, "name": "job moved", "at": at,
                "properties": '{"via":"web"}'}  # fmt: skip
        rows.insert(row - 1, tuple((made | values).values()))
        bad.add("warehouse.db events", row, verdict, why)

    insert(1_207, ("validate", "missing"), "no event name", name=None)
    insert(2_963, ("map", "nested"), "properties are not JSON", properties="{via: web")
    insert(4_444, ("validate", "blank"), "the user_id is a blank", user_id="   ")
    insert(5_981, ("map", "timestamp"), "month 13", at="2025-13-05 10:00:00")
    return rows


def write_warehouse(path: Path, members: list[Row], used: list[Row]) -> None:
    """Write the database in one transaction, so that its pages always lie the same."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE; PRAGMA journal_mode = DELETE;")
        with connection:
            connection.executescript("BEGIN;" + TABLES)
            connection.executemany("INSERT INTO memberships VALUES (?, ?, ?, ?)", members)
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", used)
    # The header names the SQLite that wrote last, which is the one thing in it that depends on the machine.
    with path.open("r+b") as file:
        file.seek(96)
        file.write((3_040_001).to_bytes(4, "big"))


# --- feedback.csv --------------------------------------------------------------------------------------------------

FEEDBACK_COLUMNS: Final = ("user_id", "feature", "score", "comment", "created_ms")


def feedback_csv(users: list[str], dice: Dice, bad: BadRows) -> bytes:
    """Write what users said: a score, a comment or both; one said the same twice; five bad rows."""
    rows: list[list[str]] = []
    moments = sorted(dice.below(YEAR_S) for _ in range(ANSWERS))
    for second in moments:
        comment = dice.pick(COMMENTS)
        score = "" if comment and dice.chance(60) else str(1 + dice.below(5))
        created = str(int((YEAR + timedelta(seconds=second)).timestamp()) * 1000 + dice.below(1000))
        rows.append([dice.pick(users), dice.pick(FEATURES), score, comment, created])
    rows.insert(121, [*rows[120]])

    def insert(row: int, verdict: tuple[str, str], why: str, **values: str) -> None:
        made = {"user_id": "00042", "feature": "photo-log", "score": "4", "comment": "", "created_ms": rows[row - 2][4]}
        rows.insert(row - 1, list((made | values).values()))
        bad.add("feedback.csv", row, verdict, why)

    seconds = str(int(datetime(2025, 6, 1, tzinfo=UTC).timestamp()))
    insert(19, ("validate", "range"), "a score of 7", score="7")
    insert(77, ("validate", "too_long"), "a comment of 4,001 characters", comment="It creaks. " * 363 + "Bang.ok.")
    insert(133, ("validate", "range"), "seconds among milliseconds: it would be in 1970", created_ms=seconds)
    insert(188, ("validate", "missing"), "neither a score nor a comment", score="")
    insert(240, ("map", "integer"), "half a point", score="4.5", comment="Almost.")
    return csv_line(FEEDBACK_COLUMNS) + b"".join(csv_line(row) for row in rows)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
