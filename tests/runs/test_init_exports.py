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
