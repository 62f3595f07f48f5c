"""`init` and exports as tools write them: with nothing edited, the right records are made of each, and no others."""

import pytest
from export_files import all_exports
from judging import mistakes
from workplace import Workplace

import bucket_loader
from bucket_loader.runs.init.first import first_pipeline

pytestmark = pytest.mark.breadth

EXPORTS = {export.file: export for export in all_exports()}
DESTINATION = {"base_url": "https://front.bucket.co", "key": "sec_of_nobody_0123456789"}
WHOLE = [
    "accounts_utf16.txt",
    "salesforce_contact.csv.gz",
    "salesforce_contacts_report.xlsx",
    "segment_mixed.jsonl",
    "workspace_members.parquet",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(file):
    """Return the records that a pipeline file would send."""
    return list(bucket_loader.plan(file, destination=DESTINATION).records())


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_an_export_is_read_right_with_nothing_edited(folder, export):
    """The kinds, every id as its row spells it, no id of anything else, and nothing of any person."""
    export.write(folder)

    first = first_pipeline(export.file)
    (folder / "first.yaml").write_text(first.text, "utf-8")
    records = [] if first.problem else planned("first.yaml")

    assert mistakes(export, records) == [], first.text


@pytest.mark.parametrize("file", WHOLE)
def test_an_export_goes_into_a_local_bucket_by_two_commands(folder, file):
    """`init` with no questions asked, then `rehearse`: all rows are delivered, but for those that are rejected."""
    EXPORTS[file].write(folder)
    workplace = Workplace(folder, "")
    unset = {"BUCKET_BASE_URL": None, "BUCKET_SECRET_KEY": None}

    made = workplace.command_of("init", file, "--yes", "-o", "first.yaml", **unset)
    rehearsed = workplace.command_of("rehearse", "first.yaml", "--json", **unset)

    assert made.exit_code == 0, made.stderr
    assert rehearsed.exit_code in {0, 3}, rehearsed.stderr
    counts = rehearsed.summary["streams"].values()
    assert all(stream["delivered"] for stream in counts)
    assert not any(stream["pending"] or stream["unknown"] for stream in counts)
