"""A run that loses its state: it stops soon, says so truly, and counts what may arrive twice."""

import shutil
from contextlib import closing
from types import SimpleNamespace

import pytest

from bucket_loader.delivery.journal import Intent, LedgerJournal
from bucket_loader.state.ledger import Ledger

COUNT = 200
EVENTS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  key: [n]
  fields: {userId: user, event: {value: did}, attributes: {n: n}}
"""
HEAD = "  concurrency: 2\n  chunk: {records: 10}\n"


@pytest.fixture
def events(workplace):
    """A folder whose pipeline sends twenty chunks, two at a time."""
    workplace.write("events.csv", "n,user\n" + "".join(f"{n},u{n % 3}\n" for n in range(COUNT)))
    text = workplace.pipeline(EVENTS).read_text()
    workplace.write("pipeline.yaml", text.replace("streams:\n", HEAD + "streams:\n"))
    return workplace


def state_of(workplace):
    """Return the folder of its one state."""
    (root,) = (workplace.folder / ".bucket_loader").iterdir()
    return root


@pytest.fixture
def when_sending(events, monkeypatch):
    """Let something happen to the state once, when some chunks are delivered and the next intents are committed."""
    commit = LedgerJournal.commit

    def arrange(harm, commits=6):
        count = SimpleNamespace(left=commits)

        def harmed(self, entries):
            commit(self, entries)
            count.left -= any(isinstance(entry, Intent) for entry in entries)
            if count.left == 0:
                count.left = -1
                harm(state_of(events))

        monkeypatch.setattr(LedgerJournal, "commit", harmed)

    return arrange


def test_a_run_that_is_taken_over_says_what_was_in_flight(events, emulator, when_sending):
    """Its lock removed, another copy goes on: the first ends with 75 and its counts; the next run loses nothing."""
    others = []

    def take_over(root):
        (root / "lock").unlink()
        others.append(Ledger(root / "ledger.db"))

    when_sending(take_over)
    first = events.run()
    for other in others:
        other.close()
    second = events.run()

    counts = first.summary["streams"]["events"]
    sent = [item["item"]["attributes"]["n"] for item in emulator.journal()]
    assert (first.exit_code, first.summary["status"], first.summary["retry"]) == (75, "unfinished", True)
    assert "another copy has taken over" in first.summary["error"]["message"]
    assert 0 < counts["delivered"] < COUNT
    assert counts["pending"] == COUNT - counts["delivered"]
    assert counts["possibly_duplicated"] in {10, 20}
    assert second.exit_code == 0
    assert second.summary["resumed"][0]["streams"]["events"]["delivered"] == COUNT
    assert len(set(sent)) == COUNT
    assert len(sent) - COUNT <= counts["possibly_duplicated"]


@pytest.mark.parametrize("commits", [1, 6, 10])
def test_a_run_whose_state_is_removed_stops_and_does_not_say_that_it_is_known(events, emulator, when_sending, commits):
    """It ends with 2 within what was in flight, and the next run is not told of damage."""
    before = []

    def remove(root):
        before.append(emulator.state()["requests"])
        shutil.rmtree(root.parent)

    when_sending(remove, commits)
    first = events.run()
    sent = emulator.state()["requests"] - before[0]
    left = list(events.folder.glob(".bucket_loader/*/*"))
    second = events.run()

    assert (first.exit_code, first.summary["status"]) == (2, "failed")
    assert "was removed while this run was using it" in first.summary["error"]["message"]
    assert "the ledger knows" not in first.stderr
    assert left == []  # so that the folder can be put back
    assert sent <= 4  # two in flight, and those that were intended with that commit
    assert (second.exit_code, second.summary["streams"]["events"]["delivered"]) == (0, COUNT)


def test_a_state_that_is_removed_while_planning_is_not_called_a_full_disk(events, monkeypatch, emulator):
    """Before anything was sent it ends with 2, and leaves nothing that would look like a damaged state."""
    from bucket_loader.planning import planner

    made = planner.make_plan

    def harmed(request):
        shutil.rmtree(state_of(events).parent)
        return made(request)

    with monkeypatch.context() as patch:
        patch.setattr(planner, "make_plan", harmed)
        first = events.run()
    second = events.run()

    assert first.exit_code == 2
    assert "was removed while this run was using it" in first.stderr
    assert second.exit_code == 0
    assert emulator.state()["events"] == COUNT


def test_dead_letters_lead_to_their_pipeline_while_another_run_goes_on(events):
    """`replay` looks whose letters they are without taking the ledger from the run that has it."""
    from bucket_loader.runs.replay.letters import pipeline_file_of

    events.run()
    root = state_of(events)
    with closing(Ledger(root / "ledger.db")) as running:
        found = pipeline_file_of(root / "dead_letters" / "x.jsonl")
        running.note(still="mine")

    assert found == events.folder / "pipeline.yaml"
