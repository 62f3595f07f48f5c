"""Rows that the loader itself rejected stand on the page: after a rehearsal, and with `emulator --state FOLDER`."""

import json
import subprocess
import sys
import urllib.request

from workplace import COMPANIES

from bucket_loader.reporting import on_stderr
from bucket_loader.runs import rehearsed
from bucket_loader.runs.job import RunOptions

ROWS = "id,plan\n00123,pro\n,free\n,team\n"  # two without an id


def rejected(url):
    """Return what the page shows of rejected rows."""
    with urllib.request.urlopen(f"{url}/_emulator/tables/rejected") as answer:  # noqa: S310  # our own emulator
        return [(row["by"], row["where"], row["field"], row["what"]) for row in json.load(answer)["rows"]]


def expected(file):
    """Return the two rows."""
    return [
        ("the loader", f"companies: {file}, row {row}, line {row + 1}", "companyId", f'{{"id":null,"plan":"{plan}"}}')
        for row, plan in [(2, "free"), (3, "team")]
    ]


def test_a_rehearsal_hands_its_rejected_rows_to_its_emulator(workplace):
    """With source, row, field and the row itself."""
    workplace.write("accounts.csv", ROWS)
    workplace.pipeline(COMPANIES)

    with rehearsed(workplace.folder / "pipeline.yaml", RunOptions(), on_stderr()) as (rehearsal, summary):
        found = rejected(rehearsal.bucket.url)

    assert summary.exit_code == 3
    assert sorted(found) == expected("accounts.csv")


def test_an_emulator_shows_what_the_runs_of_a_state_rejected(workplace):
    """It begins before there is a state, and shows the rows as soon as a run has rejected them."""
    workplace.write("accounts.csv", ROWS)
    workplace.pipeline(COMPANIES)
    state = workplace.folder / ".bucket_loader"
    command = [
        sys.executable,
        "-m",
        "bucket_loader",
        "emulator",
        "--port",
        "0",
        "--state",
        str(state),
        "--ends-with-stdin",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        url = json.loads(process.stdout.readline())["url"]
        before = rejected(url)
        workplace.run()
        after = rejected(url)
        told = process.communicate(timeout=20)[1].decode()

    assert before == []
    assert sorted(after) == expected("accounts.csv")
    assert told.startswith(f"there is no {state} yet")
