"""`check`: what it doubts, and what it leaves in peace."""

import io
import json
import random
import socket
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from bucket_loader.reporting.events import Doubt
from bucket_loader.reporting.text import TextListener
from bucket_loader.runs.checking.questions import QUESTIONS

DAY = datetime(2025, 3, 1, 9, 30, tzinfo=UTC)
USER = "{userId: id, attributes: {x: %s}}"
EVENT = "{userId: id, event: what, timestamp: {column: at, timezone: UTC}}"
SCORE = "{userId: id, key: {value: f}, score: x, timestamp: {column: at, timezone: UTC}}"


def stream(name="things", record="user", fields=USER % "x", more=""):
    """Return a stream over the CSV file of its name."""
    return f"- name: {name}\n  record: {record}\n  source: {{type: csv, path: {name}.csv}}\n  fields: {fields}\n{more}"


def csv(*columns, **values):
    """Return a CSV file of columns, each a list or a function of the row's number."""
    rows = [[value(number) if callable(value) else value[number] for value in values.values()] for number in range(40)]
    return "\n".join([",".join(columns or values), *(",".join(map(str, row)) for row in rows)]) + "\n"


def plain(number):
    """Return an id, one for each two rows."""
    return f"u{number // 2}"


def minute(number):
    """Return a time that nothing is wrong with."""
    return f"{DAY + timedelta(minutes=number * 7):%Y-%m-%dT%H:%M:%S}"


def checked(workplace, *words, code=0, **variables):
    """Check, and return what a program reads."""
    result = workplace.command("check", "--json", *words, **variables)
    assert (result.exit_code, result.exception) == (code, None), result.stderr
    return result.summary


def names(found, of="things"):
    """Return the names of the doubts about a stream."""
    return [doubt["name"] for doubt in found["doubts"] if doubt["stream"] == of]


# --- what is doubted -----------------------------------------------------------------------------------------------

# A file, its kind and fields, the doubt; how many rows it speaks of, and of how many.
USERS, EVENTS, ANSWERS = ("user", USER % "x"), ("event", EVENT), ("feedback", SCORE)
MADE = "{userId: id, attributes: {createdAt: {column: x, type: timestamp, timezone: UTC}}}"
DOUBTED = {
    "an event of each user": (
        csv(id=lambda n: f"e{n}", what=lambda n: f"w{n % 3}", at=minute), *EVENTS, "own_ids", 40, 40),
    "rows that are no users": (csv(id=lambda n: n % 15, x=str), *USERS, "superseded", 25, 40),
    "ids that were fractions": (csv(id=lambda n: f"{n}.0", x=str), *USERS, "float_ids", 40, 40),
    "ids that were rounded": (csv(id=lambda n: f"1.2345{n:02}E+17", x=str), *USERS, "rounded_ids", 40, 40),
    "ids that are dates": (
        csv(id=lambda n: f"2025-01-{n % 28 + 1:02}", what=plain, at=minute), *EVENTS, "dates_as_ids", 40, 40),
    "ids with blanks": (csv(id=lambda n: f"u{n} " if n < 3 else f"u{n}", x=str), *USERS, "unseen_ids", 3, 40),
    "ids with signs unseen": (
        csv(id=lambda n: f"u{n}\u200b" if n < 3 else f"u{n}", x=str), *USERS, "unseen_ids", 3, 40),
    "ids of nobody": (
        csv(id=lambda n: "undefined" if n < 7 else plain(n), what=plain, at=minute), *EVENTS, "nobody", 7, 40),
    "zeros before an id": (
        csv(id=lambda n: f"00{n}" if n < 5 else n - 5 * (n < 10), x=str), *USERS, "two_spellings", 5, 35),
    "capitals in an id": (
        csv(id=lambda n: f"ACME{n}" if n < 5 else f"acme{n - 5}", x=str), *USERS, "two_spellings", 5, 35),
    "times at midnight": (
        csv(id=plain, what=plain, at=lambda n: f"2025-01-{n % 28 + 1:02}"), *EVENTS, "midnight", 40, 40),
    "one time for all": (csv(id=plain, what=plain, at=lambda _: minute(1)), *EVENTS, "one_time", 40, 40),
    "times of the nineties": (
        csv(id=plain, what=plain, at=lambda n: minute(n).replace("2025", "1995")), *EVENTS, "before_2000", 40, 40),
    "milliseconds taken for less": (
        csv(id=str, x=lambda n: 1740000 + n), "user", USER % "{column: x, type: timestamp, unit: s}", "in_1970",
        40, 40),
    "a time to come": (csv(id=str, x=lambda _: "2999-01-01T10:00:00"), "user", MADE, "future", 40, 40),
    "answers from 0 to 10": (csv(id=plain, x=lambda n: n % 11, at=minute), *ANSWERS, "scale", 20, 40),
    "thumbs": (csv(id=plain, x=lambda n: n % 2, at=minute), *ANSWERS, "scale", 20, 40),
    "stars with halves": (
        csv(id=plain, x=lambda n: n % 5 + (0.5 if n % 5 > 2 else 1), at=minute), *ANSWERS, "scale", 16, 40),
    "JSON in a text": (csv(id=str, x=lambda n: f'"{{""a"": {n}}}"'), *USERS, "json_texts", 40, 40),
    "words for nothing": (csv(id=str, x=lambda n: "n/a" if n < 6 else n), *USERS, "null_words", 6, 40),
    "an empty column": (csv(id=str, x=lambda _: ""), *USERS, "empty", 40, 40),
    "an address": (csv(id=str, x=lambda n: f"p{n}@example.com"), *USERS, "personal", 40, 40),
    "a name that Bucket drops": (
        csv(id=str, x=str), "user", "{userId: id, attributes: {constructor: x}}", "dropped", 40, 40),
    "no rows": ("id,x\n", *USERS, "no_rows", 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("case", DOUBTED)
def test_a_file_is_doubted_with_numbers(case, workplace):
    """One doubt, with how many rows of how many; with the line that it tells there is none any more."""
    content, record, fields, name, count, of = DOUBTED[case]
    workplace.write("things.csv", content)
    workplace.pipeline(stream(record=record, fields=fields), head="on_truncation: send\n")

    found = checked(workplace)

    assert names(found) == [name]
    (doubt,) = found["doubts"]
    assert (doubt["count"], doubt["of"]) == (count, of)
    assert {"name", "stream", "column", "count", "of", "text"} <= doubt.keys()
    assert not count or f"{count:,}" in doubt["text"]
    if doubt["line"]:
        workplace.pipeline(stream(record=record, fields=mended(fields, doubt["line"])))
        again = checked(workplace)
        assert (again["doubts"], again["streams"]["things"]["rejected"]) == ([], 0)


def mended(fields, *lines):
    """Return fields with lines that were told in place of their own."""
    found = yaml.safe_load(fields)
    for line in lines:
        ((field, spec),) = yaml.safe_load(line).items()
        (found if field in found else found["attributes"])[field] = spec
    return json.dumps(found, ensure_ascii=False)


# --- what is rejected ----------------------------------------------------------------------------------------------

# A type, values that it does not read, and the shapes that are shown of them.
SHAPED = {
    "european numbers": ("number", ["1.234,50 €", "99,90 €"], ["9.999,99 € (20 rows)", "99,99 € (20 rows)"]),
    "american numbers": ("number", ["$1,234.50", "$99.90"], ["$9,999.99 (20 rows)", "$99.99 (20 rows)"]),
    "shares": ("number", ["12%", "5.5%"], ["9.9% (20 rows)", "99% (20 rows)"]),
    "thousands": ("integer", ["1.234", "12.345"], ["9.999 (20 rows)", "99.999 (20 rows)"]),
    "fractions": ("integer", ["1.5", "22.25"], ["9.9 (20 rows)", "99.99 (20 rows)"]),
    "words for nothing": ("integer", ["n/a", "-"], ["- (20 rows)", "n/a (20 rows)"]),
    "words for yes and no": ("boolean", ["Ja", "nein"], ["ja (20 rows)", "nein (20 rows)"]),
    "days of a spreadsheet": ("timestamp", ["45000.5", "45123.25"], ["99999.9 (20 rows)", "99999.99 (20 rows)"]),
    "seconds": ("timestamp", ["1740000000", "1740000001"], ["9999999999 (40 rows)"]),
    "milliseconds": ("timestamp", ["1740000000123", "1740000001123"], ["9999999999999 (40 rows)"]),
    "days first": ("timestamp", ["25/12/2024 10:30", "01/02/2024 11:30"], ["99/99/9999 99:99 (40 rows)"]),
    "months first": ("timestamp", ["12/25/2024", "2/1/2024"], ["9/9/9999 (20 rows)", "99/99/9999 (20 rows)"]),
    "points": ("date", ["25.12.2024", "01.02.2024"], ["99.99.9999 (40 rows)"]),
    "half days": ("timestamp", ["12/25/2024 1:05 PM", "12/26/2024 2:05 AM"], ["99/99/9999 9:99 AA (40 rows)"]),
    "names of months": ("timestamp", ["25 Dec 2024 10:00:00", "1 Feb 2024 10:00:00"],
                        ["9 Aaa 9999 99:99:99 (20 rows)", "99 Aaa 9999 99:99:99 (20 rows)"]),
    "two digits of a year": ("timestamp", ["25.12.24", "01.02.24"], ["99.99.99 (40 rows)"]),
}  # fmt: skip


def test_the_lines_that_are_told_read_the_values(workplace):
    """Shapes are told, no value; and with the lines in the pipeline file no row is rejected any more."""
    cases = {f"x{number}": case for number, case in enumerate(SHAPED.values())}
    values = {column: lambda number, two=two: f'"{two[number % 2]}"' for column, (_, two, _) in cases.items()}
    typed = ", ".join(f"{column}: {{column: {column}, type: {kind}}}" for column, (kind, *_) in cases.items())
    fields = f"{{userId: id, attributes: {{{typed}}}}}"
    workplace.write("things.csv", csv(id=str, **values))
    workplace.pipeline(stream(fields=fields))

    result = workplace.command("check", "--json")
    doubts = {one["column"]: one for one in result.summary["doubts"] if one["name"].startswith("rejected_")}
    lines = [one["line"] for one in doubts.values()]
    workplace.pipeline(stream(fields=mended(fields, *lines)))
    again = checked(workplace)

    assert {column: doubts[column]["shapes"] for column in cases} == {name: case[2] for name, case in cases.items()}
    shown = result.stdout + result.stderr
    assert not any(value in shown for _, two, _ in cases.values() for value in two if len(value) > len("nein"))
    assert again["streams"]["things"]["rejected"] == 0, again["doubts"]


def test_few_rows_never_change_how_the_others_are_read(workplace):
    """Where most rows are read, another form is added to theirs, or only said."""
    dates = csv(
        id=str, x=lambda n: "2024-12-25" if n > 3 else "25.12.2024", y=lambda n: "12" if n > 3 else '"1.234,50"'
    )
    workplace.write("things.csv", dates)
    fields = '{userId: id, attributes: {x: {column: x, type: date, format: "%Y-%m-%d"}, y: {column: y, type: number}}}'
    workplace.pipeline(stream(fields=fields))

    lines = {doubt["column"]: (doubt["line"], doubt["hint"]) for doubt in checked(workplace)["doubts"]}

    assert yaml.safe_load(lines["x"][0])["x"]["format"] == ["%Y-%m-%d", "%d.%m.%Y"]
    assert lines["y"] == ("", "a comma begins their fraction")


def test_each_thing_that_is_wrong_is_told(workplace):
    """Also where two are wrong in one way: rows of too few fields, and of too many."""
    workplace.write("things.csv", csv(id=str, x=str) + "41\n42\n43,x,y\n")
    workplace.pipeline(stream())

    assert [(doubt["name"], doubt["count"]) for doubt in checked(workplace)["doubts"]] == [
        ("rejected_width", 2), ("rejected_width", 1)
    ]  # fmt: skip


# A type, the values of most rows, and others among them with what is sent of these: None where they are rejected.
AMONG = {
    "comma": ("number", "99.999,99 €", {
        "(15,00 €)": None, "12,00 CR": None, "12,00-": None, "\u221212,00": None, "~5,00": None, "1/2": None,
        "1,5k": None, "12 30": None, "12,345.678": None, "7,25": 7.25, "-€ 1.234,50": -1234.5,
        "1\u202f234,50\u00a0€": 1234.5, "12.50": 12.5, "0.500": 0.5, "12,00 %": None, "12,00 MIO": None}),
    "point": ("number", "$1,234.50", {
        "($15.00)": None, "$5.00 CR": None, "$5.00-": None, "12,50": None, "1.234,567": None, "<5": None, "5:30": None,
        "-$1,000.25": -1000.25, "$ 7": 7, "7.25": 7.25}),
    "currency": ("number", "1.234,50 EUR", {"12,00 USD": 12, "12,00 MIO": None, "(12,00 EUR)": None, "9,00 NEG": None}),
    "shares": ("number", "12.5%", {"(5%)": None, "5% CR": None, "5 %": 5, "$5": None}),
    "thousands": ("integer", "1.234", {"1.5": None, "12.345 €": 12345, "(1.234)": None, "12": 12, "1.2345": None}),
}  # fmt: skip


@pytest.mark.parametrize("case", AMONG)
def test_the_line_for_most_rows_changes_no_other_value(case, workplace):
    """A bracket is a minus, letters are debit, credit or millions: the line reads them no more than before."""
    kind, most, others = AMONG[case]
    values = [*others, *[most] * 60]
    fields = f"{{userId: id, attributes: {{x: {{column: x, type: {kind}}}}}}}"
    workplace.write("things.csv", "id,x\n" + "".join(f'{number},"{value}"\n' for number, value in enumerate(values)))
    workplace.pipeline(stream(fields=fields))
    line = next(doubt["line"] for doubt in checked(workplace)["doubts"] if doubt["line"])
    workplace.pipeline(stream(fields=mended(fields, line)))

    result = workplace.command("plan", "--json")
    (planned,) = list(workplace.folder.rglob("*.parquet"))
    sent = {
        values[int(record["userId"])]: record["attributes"]["x"]
        for record in map(json.loads, pq.read_table(planned)["record"].cast(pa.string()).to_pylist())
    }
    sent.pop(most)

    assert result.exit_code == 0, result.stderr
    assert sent == {value: number for value, number in others.items() if number is not None}


def test_what_a_letter_or_a_bracket_means_is_not_guessed(workplace):
    """5k is five thousand, and (5) is minus five: no line takes the sign away."""
    workplace.write("things.csv", csv(id=str, x=lambda n: f"{n}k", y=lambda n: f"({n})"))
    workplace.pipeline(
        stream(fields="{userId: id, attributes: {x: {column: x, type: number}, y: {column: y, type: number}}}")
    )

    assert [doubt["line"] for doubt in checked(workplace)["doubts"]] == ["", ""]


def test_the_line_keeps_the_words_of_the_field(workplace):
    """The zone, the default and what is null already."""
    workplace.write("things.csv", csv(id=str, x=lambda n: "25.12.2024" if n else "n/a"))
    spec = "{column: x, type: timestamp, timezone: Europe/Berlin, null_values: ['no'], default: '2024-01-01'}"
    workplace.pipeline(stream(fields=USER % spec))

    (doubt,) = checked(workplace)["doubts"]

    told = yaml.safe_load(doubt["line"])["x"]
    words = {"format": "%d.%m.%Y", "null_values": ["no", "n/a"]}
    assert told == yaml.safe_load(spec) | words


def test_a_condition_that_no_row_meets_is_doubted_alone(workplace):
    """Nothing is superseded where nothing is left."""
    workplace.write("things.csv", csv(id=str, x=str))
    workplace.pipeline(stream(more="  where: x = 'none'\n"))

    assert names(checked(workplace)) == ["all_filtered"]


def test_the_other_order_of_day_and_month_is_told_at_once(workplace):
    """Also where most rows happen to be read in the wrong one: all of them are wrong."""
    workplace.write("things.csv", csv(id=plain, what=plain, at=lambda n: f"{n % 16 + 1:02}/03/2025 10:{n:02}"))
    fields = '{userId: id, event: what, timestamp: {column: at, format: "%m/%d/%Y %H:%M", timezone: UTC}}'
    workplace.pipeline(stream(record="event", fields=fields))

    (doubt,) = [one for one in checked(workplace)["doubts"] if one["name"] == "rejected_timestamp"]

    assert (doubt["count"], doubt["hint"]) == (8, "the day comes first")
    assert yaml.safe_load(doubt["line"])["timestamp"]["format"] == "%d/%m/%Y %H:%M"


def test_the_rejected_rows_are_in_a_file_that_stays(workplace):
    """For its owner alone; the next check of the pipeline replaces it, and removes it when nothing is rejected."""
    workplace.write("things.csv", csv(id=lambda n: "" if n == 7 else n, x=str))
    workplace.pipeline(stream())
    first = checked(workplace)
    kept = Path(first["rejected"])
    letters = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    mode = stat.S_IMODE(kept.stat().st_mode)
    told = str(kept) in workplace.command("check").stderr
    workplace.write("things.csv", csv(id=str, x=str))
    second = checked(workplace)

    assert [letter["origin"]["row"] for letter in letters] == [8]
    assert mode == 0o600
    assert told
    assert second["rejected"] is None
    assert not kept.exists()


def test_prune_removes_the_rejected_rows_of_an_old_check(workplace):
    """They are rows like those of dead letters, and stay no longer than these."""
    workplace.write("things.csv", csv(id=lambda n: "" if n == 7 else n, x=str))
    workplace.pipeline(stream())
    kept = Path(checked(workplace)["rejected"])

    young = (workplace.command("prune", "--json").summary, kept.exists())
    old = (workplace.command("prune", "--older-than", "0s", "--json").summary, kept.exists())

    assert (young, old) == (({"plans": 0, "dead_letters": 0}, True), ({"plans": 0, "dead_letters": 1}, False))


@pytest.mark.parametrize(("limit", "code"), [("10%", 3), ("50%", 0), ("3", 3)])
def test_more_rejected_rows_than_limits_allow_are_exit_3(workplace, limit, code):
    """A run would stop there; the doubt says so, with the numbers."""
    workplace.write("things.csv", csv(id=lambda n: "" if n < 8 else n, x=str))
    workplace.pipeline(stream(), head=f"limits: {{rejected: {limit}}}\n")

    found = checked(workplace, code=code)

    assert names(found)[:1] == (["limit"] if code else ["rejected_missing"])
    assert found["exit_code"] == code


# --- between streams -----------------------------------------------------------------------------------------------


def test_ids_are_compared_between_streams(workplace):
    """How many are there in another spelling, how many not at all; the ids of users, and of companies."""
    workplace.write("users.csv", csv(id=lambda n: f"{n:05}", x=str))
    workplace.write("companies.csv", csv(id=lambda n: f"c{n % 20}" if n < 20 else f"c{n}", x=str))
    events = csv(
        id=lambda n: n % 10 if n < 30 else f"{n + 100:05}", company=lambda n: f"c{n % 19}", what=plain, at=minute
    )
    workplace.write("things.csv", events)
    fields = "{userId: id, companyId: company, event: what, timestamp: {column: at, timezone: UTC}}"
    workplace.pipeline(
        stream("users")
        + stream("companies", "company", "{companyId: id, attributes: {x: x}}")
        + stream("things", "event", fields)
    )

    found = {doubt["name"]: doubt for doubt in checked(workplace)["doubts"]}

    assert found.keys() == {"spelt_otherwise", "unknown_ids"}
    assert (found["spelt_otherwise"]["count"], found["spelt_otherwise"]["of"]) == (10, 20)
    assert "zeros in front" in found["spelt_otherwise"]["text"]
    assert (found["unknown_ids"]["count"], found["unknown_ids"]["of"]) == (10, 20)


def test_streams_of_one_kind_are_not_held_against_each_other(workplace):
    """Customers are no employees; and companies that name their owners are known to events all the same."""
    for name in ("customers", "employees"):
        workplace.write(f"{name}.csv", csv(id=lambda n, name=name: f"{name}{n}", x=str))
    workplace.write("companies.csv", csv(id=lambda n: f"c{n}", x=lambda n: f"customers{n}"))
    workplace.write(
        "things.csv", csv(id=lambda n: f"employees{n % 9}", company=lambda n: f"c{n + 20}", what=plain, at=minute)
    )
    workplace.pipeline(
        stream("customers")
        + stream("employees")
        + stream("companies", "company", "{companyId: id, userId: x}")
        + stream("things", "event", EVENT.replace("{userId", "{companyId: company, userId"))
    )

    (doubt,) = checked(workplace)["doubts"]

    assert (doubt["name"], doubt["column"], doubt["count"], doubt["of"]) == ("unknown_ids", "company", 20, 40)


# --- the page ------------------------------------------------------------------------------------------------------


def test_every_doubt_stands_in_the_docs():
    """With its name, as `--json` has it."""
    page = (Path(__file__).parents[2] / "docs/check.md").read_text("utf-8")
    known = {question.name for question in QUESTIONS} | {name for *_, name, _, _ in DOUBTED.values()}
    known |= {"limit", "all_filtered", "spelt_otherwise", "unknown_ids", "lists"}

    assert {name for name in known if f"`{name}`" not in page} == set()


# --- sound files ---------------------------------------------------------------------------------------------------


def sound(folder, seed):
    """Write clean exports: users, companies, members, events, feedback."""
    chance = random.Random(seed)  # noqa: S311  # for tests

    def at():
        return f"{DAY + timedelta(seconds=chance.randrange(20_000_000)):%Y-%m-%d %H:%M:%S}"

    users = [f"{number:05}" for number in range(300)]
    companies = [f"001D0000{number // 4:03}Iq{'aAbB'[number % 4]}" for number in range(60)]
    tables = {
        "users": [("id", "plan", "seats", "created"),
                  *((user, chance.choice(["free", "pro"]), chance.randrange(9), at()) for user in users)],
        "companies": [("id", "name", "notes", "renewal"),
                      *((one, f"Company {one}", chance.choice(["", "none"]), "2999-01-01 00:00") for one in companies)],
        "members": [("id", "user"), *((chance.choice(companies), user) for user in users)],
        "things": [("id", "company", "what", "at"),
                   *((chance.choice(users), chance.choice(companies), chance.choice("abc"), at()) for _ in range(900))],
        "signups": [("id", "at"), *((user, at()) for user in users)],
        "answers": [("id", "score", "at"), *((user, chance.randrange(1, 6), at()) for user in users[:200])],
    }  # fmt: skip
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n", "utf-8")


SOUND = (
    stream("users", fields="{userId: id, attributes: {plan: plan, seats: {column: seats, type: integer}, "
                           "createdAt: {column: created, type: timestamp, timezone: UTC}}}")
    + stream("companies", "company", "{companyId: id, attributes: {name: name, notes: notes, "
                                     "renewal: {column: renewal, type: timestamp, timezone: UTC}}}")
    + stream("members", "company", "{companyId: id, userId: user}")
    + stream("things", "event", EVENT.replace("{userId", "{companyId: company, userId"))
    + stream("signups", "event", EVENT.replace("what", "{value: signed up}"))
    + stream("answers", "feedback", SCORE.replace("score: x", "score: score"))
)  # fmt: skip


@pytest.mark.parametrize("words", [(), ("--all",)])
@pytest.mark.parametrize("seed", [1, 2])
def test_sound_exports_are_left_in_peace(workplace, seed, words):
    """Users who sign up once, ids of Salesforce that differ in capitals, dates to come where they may: no doubt."""
    sound(workplace.folder, seed)
    workplace.pipeline(SOUND, head="limits: {rejected: 0}\n")

    assert checked(workplace, *words)["doubts"] == []


# --- which rows are looked at --------------------------------------------------------------------------------------


def test_rows_far_behind_are_looked_at(workplace, monkeypatch):
    """The first rows of a file, and some of each batch after them; with `--all` every row."""
    monkeypatch.setattr("bucket_loader.runs.checking.sample.FILE_ROWS", 1_000)
    ids = [str(number) for number in range(60_000)]
    table = pa.table({"id": ids, "x": ["fine"] * 50_000 + ["n/a"] * 10_000})
    pq.write_table(table, workplace.folder / "things.parquet", row_group_size=5_000)
    workplace.pipeline(stream().replace("csv, path: things.csv", "parquet, path: things.parquet"))

    some, every = checked(workplace), checked(workplace, "--all")
    first = checked(workplace, "--limit", "500")

    assert [doubt["name"] for doubt in some["doubts"]] == ["null_words"]
    assert some["streams"]["things"]["read"] < 10_000
    assert "spread over" in some["looked_at"]["things"]
    assert (every["doubts"][0]["count"], every["looked_at"]["things"]) == (10_000, "all 60,000 rows")
    assert (first["doubts"], first["looked_at"]["things"]) == ([], "the first 500 rows")


def test_a_wide_table_fits_into_memory(workplace):
    """Each record is parsed once for all of its fields, and some fields are asked at a time."""
    columns = [f"c{number}" for number in range(150)]
    values = ["n/a" if column == "c7" else "some text" for column in columns]
    rows = [",".join([f"u{row}", *values]) for row in range(4_000)]
    workplace.write("things.csv", "\n".join([",".join(["id", *columns]), *rows]) + "\n")
    workplace.pipeline(stream(fields='{userId: id, attributes: "*"}'))

    (doubt,) = checked(workplace)["doubts"]

    assert (doubt["name"], doubt["column"], doubt["count"]) == ("null_words", "c7", 4_000)


# --- the host ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_the_host_is_not_asked(workplace, emulator, key):
    """The rows are looked at all the same, and it says so; exit 0."""
    workplace.write("things.csv", csv(id=str, x=str))
    workplace.pipeline(stream())

    result = workplace.command("check", BUCKET_SECRET_KEY=key)

    assert (result.exit_code, result.exception) == (0, None), result.stderr
    assert "was not asked: the variable of its key is not set" in result.stderr
    assert emulator.state()["requests"] == 0


def test_where_nothing_listens_on_this_machine_an_emulator_is_to_be_started(workplace):
    """The rows are doubted first; then 75, and the command."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        workplace.write("things.csv", csv(id=lambda n: f"{n}.0", x=str))
        workplace.pipeline(stream())
        result = workplace.command("check", BUCKET_BASE_URL=f"http://127.0.0.1:{port}")

    assert result.exit_code == 75
    assert result.stderr.index("end in `.0`") < result.stderr.index(f"nothing listens at 127.0.0.1:{port}")
    assert f"start one: `bucket-loader emulator --port {port}`" in result.stderr


# --- for a person --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_doubt_is_a_paragraph_that_fits(width):
    """On a terminal its lines hang under the first, and no word is broken; what to write is YAML as it stands there."""
    line = """amount: {sql: "replace(regexp_replace(amount, '[^0-9,-]', '', 'g'), ',', '.')", type: number}"""
    text = "40 of 40 rows are rejected: column 'amount' is not a number (rows 1, 2, 3, 4, 5, ...)"
    doubt = Doubt(
        "rejected_number", "things", "amount", 40, 40, text, "a comma begins their fraction", line, ("9,9 €",)
    )
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    TextListener(console).tell(doubt)

    lines = console.file.getvalue().rstrip().split("\n")
    words = [word for part in lines for word in part.split()]
    start = next(number for number, part in enumerate(lines) if "hint:" in part)

    assert all(len(part) <= width or " " not in part.strip() for part in lines)
    assert all(part.startswith("    ") for part in lines[1:])
    assert words == f"! {text} 9,9 € hint: a comma begins their fraction; write {line}".split()
    written = " ".join(part.strip() for part in lines[start:] if part.startswith(" " * 8))
    assert yaml.safe_load(written) == yaml.safe_load(line)
