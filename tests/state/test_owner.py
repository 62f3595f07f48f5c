"""Whose a ledger's file is: a copy that lost it commits nothing more, whatever its lock says."""

import os
import shutil
import subprocess
import sys
from contextlib import closing

import pytest
from ledgers import RUN, InFile, begin, chunk, delivered, seen

from bucket_loader.model.errors import StateError, StateLockedError
from bucket_loader.state.ledger import Intent, Ledger


@pytest.fixture
def path(tmp_path):
    """Where the ledger lies."""
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path):
    """A ledger with a run that has sent one chunk."""
    with closing(Ledger(path)) as opened:
        begin(opened)
        opened.commit(RUN, [Intent(chunk(0))])
        yield opened


def test_who_opens_the_ledger_takes_it_from_who_had_it(ledger, path):
    """The first commits nothing more and says why, for ever; the second goes on; both still read the same."""
    with closing(Ledger(path)) as second:
        second.commit(RUN, [Intent(chunk(10))])
        for _ in range(2):
            with pytest.raises(StateLockedError, match="another copy has taken over"):
                ledger.commit(RUN, [delivered(chunk(0)), Intent(chunk(20))])
        second.commit(RUN, [Intent(chunk(30))])

        assert [row[:2] for row in seen(InFile(path))] == [
            (name, "intent") for name in ("0-9", "10-19", "30-39")]  # fmt: skip
        assert ledger.counts(RUN) == second.counts(RUN)
        assert (ledger.database.lost is not None, second.database.lost) == (True, None)


def test_a_request_is_not_sent_again_when_another_has_the_state(ledger, path):
    """What is asked before each request notices it as well: between two attempts nothing has to be committed."""
    ledger.database.wait_until_held()
    with closing(Ledger(path)), pytest.raises(StateLockedError):
        ledger.database.wait_until_held()


def replace_by_a_copy(folder):
    """Put a copy of a folder in its place, as a restored backup is."""
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


HARMS = {
    "removed": shutil.rmtree,
    "replaced by another": replace_by_a_copy,
    "moved": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "a new one": lambda folder: (shutil.rmtree(folder), Ledger(folder / "ledger.db").close()),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("commits", [True, False], ids=["a commit", "a request"])
def test_a_state_that_is_gone_is_noticed_by_the_next(ledger, path, harm, commits):
    """A folder that was removed, moved, or replaced under a run: nothing more is sent, and it is not called locked."""
    HARMS[harm](path.parent)
    asks = (lambda: ledger.commit(RUN, [Intent(chunk(10))])) if commits else ledger.database.wait_until_held

    with pytest.raises(StateError, match=r"removed|replaced") as told:
        asks()

    assert (type(told.value), told.value.exit_code) == (StateError, 2)
    if harm == "a new one":
        with closing(Ledger(path)) as other:
            assert other.runs() == []


FORKS = """
import os, pathlib, sys
from ledgers import RUN, begin, chunk
from bucket_loader.model.errors import StateLockedError
from bucket_loader.state.ledger import Intent, Ledger
ledger = Ledger(pathlib.Path(sys.argv[1]))
begin(ledger)
child = os.fork()
if child == 0:
    for ask in (lambda: ledger.commit(RUN, [Intent(chunk(10))]), ledger.database.wait_until_held):
        try:
            ask()
        except StateLockedError as error:
            assert "fork" in str(error)
        else:
            os._exit(1)
    ledger.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
ledger.commit(RUN, [Intent(chunk(20))])
"""


def test_a_fork_of_the_owner_commits_nothing(path):
    """Only the process that opened the ledger writes there; what its fork does, and its end, do not disturb it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", FORKS, str(path)], env=environment, check=True, timeout=60)

    assert [row[0] for row in seen(InFile(path))] == ["20-29"]
