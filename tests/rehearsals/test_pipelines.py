"""The pipelines that we ship, run from end to end over the sample data."""

import csv
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise

import pytest
from rehearsal_helpers import ROOT, SAMPLE_DATA, promised, rehearsal, rejected, warehouse

pytestmark = pytest.mark.breadth

NAMES = ("quickstart", "backfill", "nightly")
READS = {
    "quickstart": ("users.csv", "companies.parquet", "warehouse.db events", "feedback.csv"),
    "backfill": ("warehouse.db events", "feedback.csv"),
    "nightly": ("users.csv", "companies.parquet", "warehouse.db memberships"),
}
EVENTS = {"read": 6_007, "delivered": 6_000, "rejected": 4, "superseded": 3}
FEEDBACK = {"read": 252, "delivered": 247, "rejected": 5}
USERS = {"read": 1_202, "delivered": 1_190, "rejected": 9, "superseded": 3}
COUNTS = {
    "quickstart": {
        "users": USERS,
        "companies": {"read": 150, "delivered": 138, "rejected": 2, "filtered": 10},
        "events": EVENTS,
        "feedback": FEEDBACK,
    },
    "backfill": {"events": EVENTS, "feedback": FEEDBACK},
    "nightly": {
        "users": USERS,
        "companies": {"read": 150, "delivered": 148, "rejected": 2},
        "memberships": {"read": 1_219, "delivered": 965, "rejected": 1, "filtered": 253},
    },
}


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Run a pipeline twice in a row against an emulator of its own; asked again, give what came of it."""
    with ExitStack() as stack:

        @cache
        def rehearse(name):
            found = stack.enter_context(rehearsal(tmp_path_factory.mktemp(name)))
            found.run(name)
            found.run(name)
            return found

        yield rehearse


def counted(summary):
    """Return a summary's counts without the zeros."""
    return {
        name: {word: count for word, count in asdict(counts).items() if count}
        for name, counts in summary.streams.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_counted_where_it_went(twice, name):
    """Rows are delivered, rejected, superseded or filtered, and the exit code says that some were rejected."""
    summary, _ = twice(name).summaries

    assert counted(summary) == COUNTS[name]
    assert (summary.status, summary.exit_code, summary.error, summary.retries) == ("rejected", 3, None, 0)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_are_full(twice, name):
    """A stream takes one request for each hundred records, and one for the rest."""
    summary, _ = twice(name).summaries

    assert summary.requests == sum(-(-counts["delivered"] // 100) for counts in COUNTS[name].values())


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_promised_rows_are_rejected(twice, name):
    """Each bad row of `bad_rows.json` is rejected for the promised reason alone, and no other row is."""
    for summary in twice(name).summaries:
        found = rejected(summary)

        assert set(found) == promised(*READS[name])
        assert len(found) == len(set(found))


@pytest.mark.parametrize("name", NAMES)
def test_a_second_run_sends_nothing(twice, name):
    """What was delivered is remembered: not one request is made, and every such row counts as unchanged."""
    found = twice(name)
    first, second = found.summaries

    assert found.requests_after[0] == found.requests_after[1]
    assert (second.requests, second.exit_code) == (0, 3)
    for stream, counts in counted(first).items():
        unchanged = {"unchanged": counts.pop("delivered")}
        assert counted(second)[stream] == counts | unchanged


@pytest.mark.parametrize("name", NAMES)
def test_the_emulator_has_the_very_bytes_of_the_plan(twice, name):
    """Every record of an independent plan arrives once, as the same bytes, and nothing else does."""
    found = twice(name)
    planned = found.plan(name)
    records = [record for stream in planned.manifest.streams for _, chunk in planned.chunks(stream) for record in chunk]

    assert Counter(found.items()) == Counter(records)


@pytest.mark.parametrize("name", NAMES)
def test_streams_arrive_one_after_another(twice, name):
    """Users come before companies, companies before events, events before feedback."""
    kinds = [json.loads(item)["type"] for item in twice(name).items()]
    changes = [(before, after) for before, after in pairwise(kinds) if before != after]

    order = ["user", "company", "event", "feedback"]
    assert all(order.index(before) < order.index(after) for before, after in changes)


# --- what is then in Bucket ----------------------------------------------------------------------------------------


def test_ids_keep_their_spelling(twice):
    """`00123` and `123` are two users, and an id beyond 2^53 keeps its last digit."""
    found = twice("quickstart")

    for user in ("00123", "123"):
        email = f"person{user}@example.com"
        assert found.user(user)["attributes"]["emailHash"] == hashlib.sha256(email.encode()).hexdigest()
    assert found.company(str(2**53 + 1))["attributes"]["name"] == 'Käpt\'n Ahlers "Slipway"'
    assert found.get(f"companies/{2**53}").status_code == 404
    assert found.get("users/2").status_code == 404


def test_users_are_mapped_field_by_field(twice):
    """Each form of an attribute gives what the pipeline file says of it, for every user of the export."""
    found = twice("quickstart")
    last = {row["user_id"]: row for row in good_users()}
    items = [json.loads(item) for item in found.items("user")]

    assert {item["userId"] for item in items} == last.keys()
    for item in items:
        row, attributes = last[item["userId"]], item["attributes"]
        assert attributes["name"] == row["name"]
        assert attributes["admin"] is (row["is_admin"] == "yes")
        assert attributes["seats"] == int(row["seats"] or 1)
        assert attributes.get("weeklyHours") == (float(row["weekly_hours"]) if row["weekly_hours"] else None)
        assert attributes.get("nps") == (int(row["nps"]) if row["nps"].isdecimal() else None)
        assert attributes["plan"] == row["plan"].lower()
        assert attributes["source"] == "app export"
        assert not attributes.keys() & {"email", "note", "user_id"}
        assert item["context"] == {"active": False}


def good_users():
    """Return the good rows of `users.csv`, read without the loader."""
    text = (SAMPLE_DATA / "users.csv").read_bytes().decode("latin-1").replace("\0", "?")
    rows = list(csv.DictReader(text.encode("latin-1").decode(errors="replace").splitlines(keepends=True)))
    bad = {row for _, row, *_ in promised("users.csv")}
    return [row for number, row in enumerate(rows, start=1) if number not in bad]


def test_the_last_row_of_a_user_wins(twice):
    """A user who stands twice in the export has the attributes of the later row."""
    found = twice("quickstart")

    assert [found.user(user)["attributes"]["seats"] for user in ("00012", "00306", "00778")] == [99, 99, 99]


def test_local_times_are_moved_to_utc(twice):
    """A signup in Copenhagen's winter is an hour earlier in UTC, in its summer two."""
    rows = {row["signed_up"]: row["user_id"] for row in good_users()}
    found = twice("quickstart")
    winter = next(text for text in rows if re.fullmatch(r"\d\d-(12|01|02)-\d{4} 08:\d\d", text))
    summer = next(text for text in rows if re.fullmatch(r"\d\d-0[678]-\d{4} 08:\d\d", text))

    assert found.user(rows[winter])["attributes"]["createdAt"][11:16] == winter[11:].replace("08", "07", 1)
    assert found.user(rows[summer])["attributes"]["createdAt"][11:16] == summer[11:].replace("08", "06", 1)


def test_columns_of_companies_have_their_forms(twice):
    """Structs and lists become dotted names, bytes hex, a moment a date, and NaN is left out."""
    found = twice("quickstart")
    attributes = found.company("1002")["attributes"]

    assert attributes == {
        "address.city": "Wyndhaven",
        "address.country": "GB",
        "address.zip": "3227",
        "contract_start": "2023-05-27",
        "crmKey": "c0ffeee703",
        "employees": 98,
        "health": 39.3,
        "is_trial": False,
        "lastSeenOn": "2025-05-12",
        "mrr": 2849.1,
        "name": "Halvard Hull Repair",
        "plan": "Fleet",
        "region": "1",
        "tags": ["steel", "winter-storage"],
    }
    assert "health" not in found.company("1021")["attributes"]


@pytest.mark.parametrize("name", ["quickstart", "backfill"])
def test_every_event_of_the_warehouse_arrives_once_with_its_time(twice, name):
    """The events are those of the table, each once although three rows are there twice, with user, company and time."""
    rows = warehouse("select distinct * from events where event_id not like 'ev-bad-%'")
    expected = Counter(
        (user, None if company is None else str(company), event, f"{at.replace(' ', 'T')}.000Z")
        for _, user, company, event, at, _ in rows
    )
    items = [json.loads(item) for item in twice(name).items("event")]

    assert expected == Counter((one["userId"], one.get("companyId"), one["event"], one["timestamp"]) for one in items)
    assert twice(name).state()["events"] == 6_000


def test_equal_answers_are_two_answers(twice):
    """Feedback without a key that stands twice in the export is two pieces of feedback."""
    for name in ("quickstart", "backfill"):
        counts = Counter(twice(name).items("feedback"))

        assert sorted(counts.values())[-2:] == [1, 2]
        assert twice(name).state()["feedback"] == 247


def test_memberships_associate_users_with_companies(twice):
    """A user belongs to the companies of the join, in its order; the first of them is the default."""
    found = twice("nightly")
    churned = {json.loads(item)["companyId"] for item in found.items("company") if b'"churned":true' in item}
    expected: dict[str, list[str]] = {}
    rows = warehouse("select user_id, company_id from memberships where role <> 'guest' and company_id is not null "
                     "order by company_id, user_id")  # fmt: skip
    for user, company in rows:
        if str(company) not in churned:
            expected.setdefault(user, []).append(str(company))
    several = [user for user, companies in expected.items() if len(companies) > 1]

    assert len(churned) == 10
    assert len(several) > 10
    for user in [*several[:10], *list(expected)[:10]]:
        known = found.user(user)
        assert (known["companies"], known["defaultCompany"]) == (expected[user], expected[user][0])
    assert sum(b'"userId"' in item for item in found.items("company")) == 965


def test_a_sync_is_no_activity(twice):
    """After a nightly sync nobody was seen: neither users nor companies."""
    found = twice("nightly")

    assert found.user("00123")["lastSeen"] is None
    assert found.company("1002")["lastSeen"] is None


def test_attributes_of_two_pipelines_are_merged(tmp_path):
    """The nightly pipeline changes the attributes it names and leaves those that the quickstart has set."""
    with rehearsal(tmp_path) as found:
        found.run("quickstart", streams=("users",))
        before = found.user("00123")["attributes"]
        found.run("nightly", streams=("users",))
        after = found.user("00123")["attributes"]

    assert after == before | {"email": "person00123@example.com"}


# --- how they are used ---------------------------------------------------------------------------------------------


def test_a_backfill_in_parts_is_the_whole(tmp_path):
    """Four quarters deliver what the year would, each record once, and the whole year after them delivers nothing."""
    starts = [datetime(2025, month, 1, tzinfo=UTC) for month in (1, 4, 7, 10)]
    quarters = list(pairwise([*starts, datetime(2026, 1, 1, tzinfo=UTC)]))
    with rehearsal(tmp_path) as found:
        summaries = [found.run("backfill", as_of=None, interval=quarter) for quarter in quarters]
        again = found.run("backfill")
        state = found.state()

    for stream, total in (("events", 6_000), ("feedback", 247)):
        delivered = [summary.streams[stream].delivered for summary in summaries]
        assert sum(delivered) == total
        assert all(delivered)
    assert (state["events"], state["feedback"]) == (6_000, 247)
    assert again.requests == 0


@pytest.mark.parametrize(("name", "exit_code"), [("quickstart", 3), ("backfill", 3), ("nightly", 0)])
def test_the_command_in_the_head_of_the_file_works(tmp_path, name, exit_code):
    """The command that a pipeline file shows is a command that runs, and it ends as the file says."""
    head = (ROOT / "pipelines" / f"{name}.yaml").read_text("utf-8").split("\nname:")[0]
    (command,) = re.findall(r"^#   bucket-loader (.*)$", head, re.MULTILINE)
    with rehearsal(tmp_path) as found:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("BUCKET_", "WAREHOUSE_"))}
        if command.startswith("run "):
            environment |= {
                "BUCKET_BASE_URL": found.endpoint.url,
                "BUCKET_SECRET_KEY": found.endpoint.secret_key,
                "BUCKET_LOADER_STATE": str(tmp_path / "state"),
            }
        ended = subprocess.run(
            [sys.executable, "-m", "bucket_loader", *shlex.split(command)],
            cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip

    assert ended.returncode == exit_code, ended.stderr
    assert "Traceback" not in ended.stderr
    if "--json" in command:
        streams = json.loads(ended.stdout.splitlines()[-1])["streams"]
        delivered = {stream: counts["delivered"] for stream, counts in COUNTS[name].items()}
        assert {stream: counts["delivered"] for stream, counts in streams.items()} == delivered


def test_a_broken_export_stops_the_nightly_run_before_it_sends(tmp_path):
    """More rejected rows than `limits:` allow end the run with exit 4, and Bucket has heard nothing."""
    broken = tmp_path / "users.csv"
    broken.write_bytes((SAMPLE_DATA / "users.csv").read_bytes().replace(b",no,", b",nope,"))
    text = (ROOT / "pipelines" / "nightly.yaml").read_text("utf-8")
    file = tmp_path / "nightly.yaml"
    text = text.replace("../sample_data/users.csv", "users.csv").replace("../sample_data", str(SAMPLE_DATA))
    file.write_text(text, "utf-8")
    with rehearsal(tmp_path) as found:
        summary = found.run(file)
        state = found.state()

    assert (summary.exit_code, summary.status) == (4, "stopped")
    assert (state["requests"], state["users"]) == (0, 0)
