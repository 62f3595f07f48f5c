"""Counts: one list, from which the ledger, the plan, the summary and the metrics are made."""

import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from bucket_loader.model.counts import COUNTS, PLANNED, SENT, Counts
from bucket_loader.planning.manifest import Manifest, PlannedStream, encoded
from bucket_loader.reporting.prometheus import LastRun, Textfile
from bucket_loader.reporting.summary import COLUMNS
from bucket_loader.state.ledger import Ledger, NewStream

NAMES = [one.name for one in fields(Counts)]
FLAGS = (False, True, True)
PACKAGE = Path(__file__).parents[2] / "bucket_loader"


def begin(ledger, counts):
    """Make a run of one stream exist."""
    ledger.add_run("run", as_of="t", interval=None, plan_digest="d", created_at="t",
                   streams=[NewStream(0, "s", "m", counts)])  # fmt: skip


def test_every_count_is_made_somewhere():
    """Planning counts it, or delivery does, or it is what is left."""
    assert {one.name for one in (*PLANNED, *SENT)} | {"pending"} == set(NAMES)
    assert [one.name for one in COUNTS] == NAMES


def test_the_ledger_keeps_what_planning_counts(tmp_path):
    """Each has a column and comes back; what is planned is pending until it is sent."""
    counts = Counts(**{one.name: number for number, one in enumerate(PLANNED, 1)}, pending=100)
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        begin(ledger, counts)

        assert ledger.counts("run") == {"s": counts}
        assert ledger.database.columns("stream") >= {one.name for one in PLANNED}


def test_the_plan_spells_what_planning_counts():
    """Each is a member of its stream."""
    counts = Counts(**{one.name: number for number, one in enumerate(PLANNED, 1)})
    stream = PlannedStream(0, "s", "event", "append", "resend", counts, 0, 0, (), "m", *FLAGS)
    text = encoded(Manifest(1, "r", "p", "now", "then", None, 0, 1, 1, (stream,), {}))

    for number, one in enumerate(PLANNED, 1):
        assert f'"{one.name}": {number},'.encode() in text


def test_a_person_and_a_program_are_told_every_count(tmp_path):
    """The table leaves out what the lines below it say; the metrics leave out none."""
    textfile = Textfile(tmp_path / "m.prom", 0.0, print)
    textfile.write(LastRun(0, 1.0, {"s": Counts()}))
    text = (tmp_path / "m.prom").read_text()

    assert set(NAMES) - set(COLUMNS) == {"possibly_duplicated"}
    for one in COUNTS:
        assert f"# HELP bucket_loader_last_run_{one.name} {one.says}\n" in text
        assert f"bucket_loader_last_run_{one.name}{{" in text


@pytest.mark.parametrize("one", COUNTS, ids=lambda one: one.name)
def test_a_row_more_on_one_side_is_found(one):
    """Every count that takes part in the sum does so, on its side."""
    counts = Counts(read=3, delivered=1, filtered=2)
    more = counts + Counts(**{one.name: 1})

    assert counts.conserved()
    assert more.conserved() == (one.side is None)


def test_counts_are_added_field_by_field():
    """Nothing is lost when the numbers of several steps or runs are added."""
    one = Counts(**{name: number for number, name in enumerate(NAMES)})

    assert asdict(one + one) == {name: 2 * number for number, name in enumerate(NAMES)}


WITH_ONE_MORE = """
import sys
from contextlib import closing
from pathlib import Path

from bucket_loader.model import Counts
from bucket_loader.reporting import COLUMNS
from bucket_loader.reporting.prometheus import LastRun, Textfile
from bucket_loader.state import Ledger, NewStream

folder = Path(sys.argv[1])
for _ in range(2):
    with closing(Ledger(folder / "ledger.db")) as ledger:
        assert ledger.counts("run")["s"] == Counts(read=7, filtered=3, pending=4)
with closing(Ledger(folder / "ledger.db")) as ledger:
    counts = Counts(read=7, ignored=3, pending=4)
    ledger.add_run("more", as_of="t", interval=None, plan_digest="d", created_at="t",
                   streams=[NewStream(0, "s", "m", counts)])
    assert counts.conserved() and ledger.counts("more")["s"] == counts
assert "ignored" in COLUMNS
Textfile(folder / "m.prom", 0.0, print).write(LastRun(0, 1.0, {"s": counts}))
assert "Rows that nobody wants" in (folder / "m.prom").read_text()
"""


def test_a_new_count_is_one_line(tmp_path):
    """A line more in the list, and an older ledger gets its column, the summary its name and the metrics their text."""
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        begin(ledger, Counts(read=7, filtered=3, pending=4))
    shutil.copytree(PACKAGE, tmp_path / "bucket_loader", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "bucket_loader" / "model" / "counts.py"
    line = f'    ignored: int = _count("Rows that nobody wants", side="out", column={len(PLANNED) + 1})\n'
    before, after = file.read_text().split("    pending: int", 1)
    file.write_text(f"{before}{line}    pending: int{after}")
    (tmp_path / "more.py").write_text(WITH_ONE_MORE)

    done = subprocess.run([sys.executable, str(tmp_path / "more.py"), str(tmp_path)], cwd=tmp_path, check=False,
                          capture_output=True, text=True)  # fmt: skip

    assert done.returncode == 0, done.stderr
