"""`init` and the exports of known tools: the right kind of record, the right ids, and nothing of any person."""

import json

import pytest
from exports_of_tools import SECRETS, all_made

from bucket_loader.config import load_pipeline
from bucket_loader.model.errors import UsageError
from bucket_loader.runs.checking.sample import Sample, planned_sample
from bucket_loader.runs.init.first import first_pipeline
from bucket_loader.runs.inspect import counts_of
from bucket_loader.runs.job import RunOptions, make_job

pytestmark = pytest.mark.breadth

NOWHERE = {"base_url": "https://front.bucket.co", "key": "sec_of_nobody_0123456789"}
EXPORTS = all_made()


class Nobody:
    """A listener that nobody sits behind."""

    period_s = None

    def tell(self, event):
        """Do nothing."""


def planned(file):
    """Return the records that a pipeline file makes, as (kind, text), and how many rows are rejected."""
    pipeline = load_pipeline(file, destination=NOWHERE)
    job = make_job(pipeline, RunOptions(), Nobody(), file=file, has_key=False)
    with planned_sample(job, Sample(pipeline, whole=True)) as plan:
        records = [
            (str(stream.kind), row["record"])
            for stream in plan.manifest.streams
            for row in plan.rows(stream, range(stream.records), ["record"])
        ]
        return records, sum(counts.rejected for counts in counts_of(plan).values())


def ids_in(records):
    """Return the ids of records by kind: of a company with its user, or None."""
    found = {}
    for kind, text in records:
        record = json.loads(text)
        one = (record["companyId"], record.get("userId")) if kind == "company" else record["userId"]
        found.setdefault(kind, set()).add(one)
    return found


@pytest.mark.parametrize("made", [one for one in EXPORTS if one.sent != "none"], ids=lambda made: made.name)
def test_an_export_is_guessed_right(tmp_path, monkeypatch, made):
    """Nothing edited: the kind, each id as it is spelt, no personal data, no row rejected."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / made.name).write_bytes(made.data())

    first = first_pipeline(made.name)
    assert first.problem is None, first.text
    (tmp_path / "first.yaml").write_text(first.text, "utf-8")
    records, rejected = planned(tmp_path / "first.yaml")

    assert ids_in(records) == made.ids(), first.text
    assert [secret for secret in SECRETS for _, text in records if secret in text] == [], first.text
    assert rejected == 0


@pytest.mark.parametrize("made", [one for one in EXPORTS if one.sent == "none"], ids=lambda made: made.name)
def test_no_id_is_made_up(tmp_path, monkeypatch, made):
    """Where no column says whose a row is, or Bucket has no such record, that is said, and a file is not complete."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / made.name).write_bytes(made.data())

    first = first_pipeline(made.name)

    assert isinstance(first.problem, UsageError)
    assert "# problem:" in first.text


@pytest.mark.parametrize(
    "ids",
    [
        [f"cus_Q{n:03}abcdefghij" for n in range(20)] + ["cus_QabcAbcdefghij"],
        [f"{n:08x}-aaaa-4bbb-8ccc-0123456789ab" for n in range(20)] + ["abcdefab-aaaa-abbb-accc-abcdefabcdef"],
        [f"x{n:02}Zb" for n in range(20)] + ["abZcb"],
        [f"{n:02}af09" for n in range(20)] + ["123456", "abcdef"],
        [f"0015g00000AbC{n:02}" for n in range(20)] + ["0015g00000AbCDE"],
        [f"google-oauth2|{n}" for n in range(20)] + ["auth0|abc"],
    ],
)
def test_an_id_is_no_total_for_the_signs_that_it_lacks(tmp_path, monkeypatch, ids):
    """Whether a letter or a digit happens to occur in an id says nothing: all rows are sent."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "companies.csv").write_text("company_id,plan\n" + "".join(f"{one},pro\n" for one in ids))

    assert "where:" not in first_pipeline("companies.csv").text


def test_what_is_left_out_of_a_mixed_export_is_said(tmp_path, monkeypatch):
    """Page calls beside track calls make no stream; a comment says how many they are."""
    monkeypatch.chdir(tmp_path)
    calls = [{"type": "track", "event": "Opened"}, {"type": "page", "event": None}, {"type": "page", "event": None}]
    shared = {"userId": "u1", "anonymousId": "a", "messageId": "m", "originalTimestamp": "2024-01-01T10:00:00Z"}
    (tmp_path / "calls.jsonl").write_text("".join(json.dumps(shared | one) + "\n" for one in calls))

    assert "left out are the rows whose 'type' is 'page' (2)" in first_pipeline("calls.jsonl").text


def test_counts_by_day_have_a_key(tmp_path, monkeypatch):
    """A user, an event and a day are one row together; where two rows share them there is no such key."""
    monkeypatch.chdir(tmp_path)
    rows = [f"u{n % 3},export,2024-01-{n // 3 + 1:02},{n}\n" for n in range(30)]
    (tmp_path / "usage.csv").write_text("user_id,feature,day,count\n" + "".join(rows))
    (tmp_path / "twice.csv").write_text("user_id,feature,day,count\n" + "".join(rows * 2))

    assert "    key: [user_id, feature, day]\n" in first_pipeline("usage.csv").text
    assert "counts by day" in first_pipeline("usage.csv").text
    assert "    key: [" not in first_pipeline("twice.csv").text


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("lastVisit", [1_704_067_200_000, 1_704_067_300_000], "unit: ms"),
        ("wakes", [1_704_067_200_000 + n * 86_400_000 for n in range(9)], "unit: ms"),
        ("wakes", [1_704_067_200 + n * 86_400 for n in range(9)], "unit: s"),
        ("annual_revenue", [1_704_067_200 + n * 86_400 for n in range(9)], "type: integer"),
        ("session_id", [1_704_067_200_000 + n for n in range(9)], "# session_id"),
        ("lastBrowserName", ["Chrome", "Safari"], "lastBrowserName: lastBrowserName"),
        ("os_name", ["Mac", "Linux"], "os_name: os_name"),
    ],
)
def test_numbers_near_today_are_times(tmp_path, monkeypatch, name, values, words):
    """A name or the spread of the numbers says so; an id, an amount and the name of a thing are what they are."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"u{n},{value}\n" for n, value in enumerate(values))
    (tmp_path / "users.csv").write_text(f"user_id,{name}\n{rows}")

    assert any(words in line and name in line for line in first_pipeline("users.csv").text.splitlines())
