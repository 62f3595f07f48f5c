"""`report` and `run --report`: true for every end that a run may have, and without a value of a row."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bucket_loader import load, rehearse
from bucket_loader.model import UsageError

SECRET = "Zebra-Planted-7731"  # noqa: S105  # a value of a row, which no page may show
STREAM = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, attributes: {name: name, seats: {column: seats, type: integer}}}
"""
EVENTS = """
- name: events
  record: event
  source: {type: csv, path: accounts.csv}
  fields: {userId: id, event: name, timestamp: {value: "2025-01-01T00:00:00Z"}}
  on_unknown: hold
"""


@pytest.fixture
def nightly(workplace):
    """A workplace with 300 companies to load; three of them have no number of seats."""
    rows = "".join(f"P{number:05d},{SECRET},{'Qx-81' if number < 3 else number}\n" for number in range(300))
    workplace.write("accounts.csv", "id,name,seats\n" + rows)
    workplace.pipeline(STREAM)
    return workplace


def page_of(workplace, *words, name="page.html"):
    """Make a report, and return it."""
    file = workplace.folder / name
    made = workplace.command("report", *words, "-o", str(file))
    assert made.exit_code == 0, made.stderr
    return file.read_text("utf-8")


def text_of(page):
    """Return the words of a page, without its style and its elements."""
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL))


def test_it_tells_where_rows_went_and_why_some_are_rejected(nightly):
    """Verdict, flow, reasons with the shapes of what is wrong, the command that replays, and the proof."""
    file = nightly.folder / "page.html"
    ran = nightly.run("--report", str(file))
    text = text_of(file.read_text("utf-8"))

    assert ran.exit_code == 3
    assert "Finished: 297 records delivered, 3 rows rejected." in text
    assert "300 rows read" in text
    assert "column &#x27;seats&#x27; is not a whole number" in text
    assert "Aa-99 (3 rows)" in text
    assert f"bucket-loader replay {ran.summary['dead_letters']} --remap" in text
    assert "Audited: 297 records in 3 chunks" in text
    assert "Nothing was known of this stream before" in text


def test_no_value_no_id_and_no_key_is_on_it(nightly):
    """Neither of what was sent nor of what was rejected; with --with-rows both, and the page says so at its top."""
    nightly.run()
    without, with_rows = page_of(nightly), page_of(nightly, "--with-rows", name="rows.html")

    for planted in (SECRET, "P00001", "P00100", "Qx-81", nightly.key):
        assert planted not in without
    assert SECRET in with_rows
    assert "Qx-81" in with_rows
    assert nightly.key not in with_rows
    assert with_rows.index("This page shows rows") < with_rows.index("<h1>")
    assert (nightly.folder / "rows.html").stat().st_mode & 0o777 == 0o600


def test_what_a_variable_keeps_secret_is_taken_out_of_every_text(nightly):
    """Also where somebody has made it a name: a stream is called as a token is."""
    nightly.run()
    made = nightly.command("report", "-o", str(nightly.folder / "page.html"), MY_TOKEN="companies")
    text = text_of((nightly.folder / "page.html").read_text("utf-8"))

    assert made.exit_code == 0
    assert "companies" not in text
    assert "***" in text


def test_a_run_that_a_limit_stops_says_why_and_what_to_do(nightly):
    """At once, and when it is asked for later."""
    nightly.run()
    nightly.pipeline(STREAM, head="limits: {changed: 10%}\n")
    nightly.write("accounts.csv", "id,name,seats\n" + "".join(f"P{number:05d},New,1\n" for number in range(300)))
    stopped = nightly.run("--report", str(nightly.folder / "stopped.html"))
    at_once, later = text_of((nightly.folder / "stopped.html").read_text("utf-8")), text_of(page_of(nightly))

    assert stopped.exit_code == 4
    for text in (at_once, later):
        assert "Stopped: nothing was sent." in text
        assert "297 of 297 known records have changed, more than limits: {changed: 10%}" in text
        assert f"bucket-loader run {nightly.folder / 'pipeline.yaml'} --accept-changes" in text


@pytest.mark.long
def test_what_ended_a_run_early_is_forgotten_when_it_is_finished(nightly, emulator):
    """An outage that outlived patience; then the run is finished."""
    emulator.faults({"kind": "status", "status": 503, "rate": 1})
    left = nightly.run("--report", str(nightly.folder / "left.html"))
    unfinished = text_of((nightly.folder / "left.html").read_text("utf-8"))
    emulator.faults()
    nightly.run()

    assert left.exit_code == 75
    assert "Not finished: 0 records delivered, 297 records still to be sent." in unfinished
    assert "no success for 1 s" in unfinished
    assert "continues it" in unfinished
    finished = text_of(page_of(nightly, left.summary["run"]))
    assert "Finished: 297 records delivered, 3 rows rejected." in finished
    assert "no success for" not in finished


def test_a_report_is_written_where_no_run_could_begin(nightly):
    """Of yesterday's page nothing is left: a source that is not there, and a pipeline file with a mistake."""
    file = nightly.folder / "page.html"
    nightly.run("--report", str(file))
    (nightly.folder / "accounts.csv").unlink()
    missing = nightly.run("--report", str(file))
    first = text_of(file.read_text("utf-8"))
    nightly.pipeline(STREAM.replace("record:", "recrod:"))
    broken = nightly.run("--report", str(file))
    second = text_of(file.read_text("utf-8"))

    assert (missing.exit_code, broken.exit_code) == (2, 2)
    assert "No new run was made." in first
    assert "there is no file accounts.csv" in first
    assert "The last run" in first
    assert "recrod" in second


def test_what_is_pruned_or_folded_is_said_to_be_gone(nightly):
    """The counts stay: without plan and dead letters the page says what can no longer be told."""
    run = nightly.run().summary["run"]
    nightly.command("prune", "--older-than", "0s")
    pruned = text_of(page_of(nightly, run))
    nightly.pipeline(STREAM, head="keep: 1ms\n")
    nightly.run()
    nightly.run()
    folded = text_of(page_of(nightly, run))

    assert "Its plan is gone" in pruned
    assert "why these rows were rejected can no longer be told" in pruned
    assert "Finished: 297 records delivered, 3 rows rejected." in pruned
    assert "when each was sent can no longer be told" in folded
    assert ", folded" in folded
    assert "requests 3 When 3 of them ended" in folded
    assert "Not proved:" in folded


def test_a_replay_and_what_it_took_up_name_each_other(nightly):
    """The letters that were taken up need nothing more."""
    first = nightly.run().summary
    nightly.pipeline(STREAM.replace("{column: seats, type: integer}", "seats"))
    replayed = nightly.command_of("replay", first["dead_letters"], "--remap", "--json",
                                  "--report", str(nightly.folder / "replay.html"))  # fmt: skip
    replay, before = (
        text_of((nightly.folder / "replay.html").read_text("utf-8")),
        text_of(page_of(nightly, first["run"])),
    )

    assert replayed.exit_code == 0, replayed.stderr
    assert f"a replay of {first['run']}" in replay
    assert f"its dead letters were taken up by {replayed.summary['run']}" in before
    assert "Nothing is left to do." in before
    assert "When they are mended" not in before


def test_chunks_without_an_answer_are_named_and_an_abandoned_run_says_so(nightly, emulator):
    """Held records, by the name that `release` takes; then the run is closed."""
    nightly.pipeline(EVENTS)
    emulator.faults({"kind": "cut_after", "rate": 1, "times": 1})
    ran = nightly.run()
    held = text_of(page_of(nightly))
    nightly.command("abandon", ran.summary["run"])
    abandoned = text_of(page_of(nightly))

    assert ran.exit_code == 75
    (chunk,) = ran.summary["held"]
    assert re.search(rf"{chunk['chunk']} 100 1 is held for a person", held)
    assert "bucket-loader release" in held
    assert "Closed by a person: 200 records delivered, 100 records not sent or not answered." in abandoned


def test_without_remembered_values_it_says_how_to_see_what_changed_by_field(nightly):
    """With them, each field and how many records change in it."""
    pages = []
    for word, digit in (("hashes", ",1"), ("values", ",2")):
        nightly.pipeline(STREAM + f"  remember: {word}\n")
        nightly.run("--full")
        nightly.write("accounts.csv", (nightly.folder / "accounts.csv").read_text().replace(digit, f"{digit}7"))
        nightly.run()
        pages.append(text_of(page_of(nightly)))

    assert "With remember: values on this stream" in pages[0]
    assert re.search(r"attributes\.seats \d+", pages[1])


def test_a_rehearsal_has_a_report_without_commands_on_what_is_gone(nightly):
    """Its state is thrown away when it ends: no file of it is named, and none is to be replayed."""
    file = nightly.folder / "page.html"
    nightly.command("rehearse", "--report", str(file))
    text = text_of(file.read_text("utf-8"))

    assert "Finished: 297 records delivered, 3 rows rejected." in text
    assert "is not a whole number" in text
    assert "bucket-loader" not in text.replace("Made by bucket-loader", "")


def test_a_notebook_shows_the_report_and_can_save_it(nightly, monkeypatch):
    """In a frame of its own. A summary that was stored knows no state; what came of the run it still knows."""
    monkeypatch.setenv("BUCKET_BASE_URL", nightly.url)
    monkeypatch.setenv("BUCKET_SECRET_KEY", nightly.key)
    summary = load(nightly.folder / "pipeline.yaml")
    document = summary.report()
    document.save(nightly.folder / "saved.html")
    stored = pickle.loads(pickle.dumps(summary))  # noqa: S301  # our own

    assert "Finished: 297 records delivered" in (nightly.folder / "saved.html").read_text("utf-8")
    assert document._repr_html_().startswith("<iframe srcdoc=")
    assert SECRET in summary.report(with_rows=True).html
    assert SECRET not in repr(summary.report(with_rows=True))
    assert stored == summary
    for lost in (stored, rehearse(nightly.folder / "pipeline.yaml").summary):
        with pytest.raises(UsageError, match="knows no state"):
            lost.report()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "pipeline.yaml"], "does not end with .html"),
        (["-o", "nowhere/page.html"], "cannot be written"),
        (["20990101", "-o", "page.html"], "there is no run"),
        ([], "-o"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(nightly, words, said):
    """A name that is no page's, a folder that is not there, a run that never was; and no file is made or changed."""
    nightly.run()
    there = {file: file.read_bytes() for file in nightly.folder.glob("*.*") if file.is_file()}

    refused = nightly.command("report", *(str(nightly.folder / word) if "." in word else word for word in words))

    assert refused.exit_code == 2
    assert said in refused.stderr
    assert {file: file.read_bytes() for file in nightly.folder.glob("*.*") if file.is_file()} == there


def test_a_report_that_cannot_be_written_changes_nothing_about_the_run(nightly, monkeypatch):
    """The run is over by then: its exit code and its summary are what they are, and stderr says what went wrong."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bucket_loader.reporting.report.document.Document.save", full)
    ran = nightly.run("--report", str(nightly.folder / "page.html"))

    assert ran.exit_code == 3
    assert ran.summary["streams"]["companies"]["delivered"] == 297
    assert "the report cannot be written to" in ran.stderr
    assert "No space left on device" in ran.stderr


def test_json_names_the_file(nightly):
    """A program finds it."""
    nightly.run()
    made = nightly.command("report", "latest", "-o", str(nightly.folder / "page.html"), "--json")

    assert json.loads(made.stdout) == {"report": str(Path(nightly.folder, "page.html"))}


def test_a_bug_is_no_page_of_yesterday(nightly, monkeypatch):
    """The page says that a bug ended the command, and not what its message quotes; the traceback stays."""
    file = nightly.folder / "page.html"
    nightly.run("--report", str(file))

    def broken(*_):
        raise RuntimeError(SECRET)

    monkeypatch.setattr("bucket_loader.runs.run._plan", broken)
    crashed = nightly.run("--report", str(file))
    text = text_of(file.read_text("utf-8"))

    assert isinstance(crashed.exception, RuntimeError)
    assert "a bug ended the command" in text
    assert SECRET not in text


def test_an_interrupted_run_has_a_report(nightly, emulator):
    """While it waits for the API: it is drained, and the page says how to go on."""
    emulator.faults({"kind": "status", "status": 503, "rate": 1})
    file = nightly.folder / "page.html"
    words = ["run", str(nightly.folder / "pipeline.yaml"), "--patience", "1m", "--report", str(file)]
    environment = os.environ | {"BUCKET_BASE_URL": nightly.url, "BUCKET_SECRET_KEY": nightly.key}
    with subprocess.Popen(
        [sys.executable, "-m", "bucket_loader", *words], env=environment, stderr=subprocess.DEVNULL
    ) as process:
        while not emulator.state()["requests"] and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130

    text = text_of(file.read_text("utf-8"))
    assert "Not finished: 0 records delivered, 297 records still to be sent." in text
    assert "run the same command again to continue" in text


def test_of_damaged_files_it_says_so(nightly):
    """A plan that is not what was planned, and dead letters that are none: the page is there, with what is known."""
    summary = nightly.run().summary
    (plan,) = (nightly.folder / ".bucket_loader").glob("*/plans/*/00-companies.parquet")
    plan.write_bytes(b"no parquet")
    Path(summary["dead_letters"]).write_bytes(b"{\xff no json")
    text = text_of(page_of(nightly, "--with-rows"))

    assert "Finished: 297 records delivered, 3 rows rejected." in text
    assert "This run does not add up" in text
    assert "is not what was planned" in text
    assert "The dead letters cannot be read" in text
