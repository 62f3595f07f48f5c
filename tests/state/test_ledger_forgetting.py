"""What a ledger forgets on purpose, wherever it lies: each time in one commit, and nothing besides."""

from contextlib import closing

import pytest
from ledgers import RUN, begin, chunk, delivered, stream

from bucket_loader.model.rows import LoadedFile
from bucket_loader.state.ledger import EMULATOR, Concluded, Intent, Meets, Replay, SnapshotFile

LATER = "20260102T000000000Z"
FILE = LoadedFile("a.csv", 1, "x")


@pytest.fixture
def ledger(place):
    """A ledger whose first run is settled, of two streams, and whose second is under way."""
    with closing(place.open()) as opened:
        begin(opened, RUN, stream(0, "users"), stream(1, "events"))
        opened.commit(RUN, [Meets("a" * 16), Intent(chunk(0)), delivered(chunk(0))])
        for position, name in enumerate(("users", "events")):
            part, refused = SnapshotFile(f"{name}.pages", 10, "d"), SnapshotFile(f"{name}.parquet", 1, "r")
            opened.settle(RUN, position, stream=name, part=part, mark="7", loaded=[FILE], refused=refused,
                          baseline="{}")  # fmt: skip
        opened.end_run(RUN, "succeeded", exit_code=0, ended_at="now")
        opened.note(key_fingerprint="f", frame="g", pipeline="test")
        begin(opened, LATER)
        opened.commit(LATER, [Intent(chunk(0)), Concluded(chunk(0), "held", 1, 1), Intent(chunk(10))])
        yield opened


def remembered(ledger):
    """Return the streams that know anything, by what they know."""
    found = (ledger.parts(), ledger.refusals(), ledger.cursors(), ledger.loaded_files(), ledger.baselines())
    return [sorted(streams) for streams in found]


def test_the_first_emulator_that_answers_is_noted(ledger):
    """It is durable with what else is committed."""
    assert ledger.meta(EMULATOR) == "a" * 16


def test_for_another_emulator_nothing_is_remembered_and_nothing_is_unfinished(ledger):
    """The runs and their counts stay, and so does what is not about deliveries; a key binds nothing any more."""
    before = ledger.last_number()

    ledger.begin_anew("b" * 16, ended_at="later")

    assert remembered(ledger) == [[], [], [], [], []]
    assert [(row.run, row.status) for row in ledger.runs()] == [(RUN, "succeeded"), (LATER, "abandoned")]
    assert ledger.counts(RUN)["users"].delivered == 10
    assert not ledger.runs_that_hold()
    notes = ("emulator", "key_fingerprint", "frame", "pipeline")
    assert [ledger.meta(name) for name in notes] == ["b" * 16, None, None, "test"]
    assert ledger.last_number() > before
    assert [ledger.is_gone(row.number) for row in ledger.runs()] == [True, True]


@pytest.mark.parametrize("ended", [True, False])
def test_what_was_taken_up_may_be_taken_up_again(ledger, ended):
    """A dead letter whose replay went to an emulator that is gone was not replayed, however that run ended."""
    begin(ledger, "third")
    ledger.add_run("fourth", as_of="2026-01-01", interval=None, plan_digest="d", created_at="now", streams=[stream()],
                   replays=[Replay(RUN, "events", "7", 0)])  # fmt: skip
    if ended:
        ledger.end_run("fourth", "succeeded", exit_code=0, ended_at="now")
    ledger.begin_anew("b" * 16, ended_at="later")

    assert ledger.replayed(RUN) == set()


def test_what_is_no_emulator_leaves_no_note_of_one(ledger):
    """The next that answers is met as the first."""
    ledger.begin_anew(None, ended_at="later")

    assert (ledger.meta(EMULATOR), remembered(ledger)) == (None, [[], [], [], [], []])


@pytest.mark.parametrize("claims", [SnapshotFile("claims.pages", 2, "c"), SnapshotFile("", 0)])
def test_a_stream_that_is_forgotten_keeps_its_claims(ledger, claims):
    """The other knows what it knew."""
    before = ledger.last_number()

    ledger.forget({"events": claims})

    parts = ledger.parts()
    assert parts.pop("users") == [SnapshotFile("users.pages", 10, "d")]
    assert parts == ({"events": [claims]} if claims.rows else {})
    assert remembered(ledger)[1:] == [["users"]] * 4
    assert ledger.last_mapping("events") == ("m" if claims.rows else None)
    assert (ledger.is_forgotten(1, "events"), ledger.is_forgotten(1, "users")) == (True, False)
    assert ledger.last_number() > before


def test_what_is_erased_goes_with_its_files_and_no_other_does(ledger):
    """A file without rows is none; cursors and what was loaded are no rows."""
    memory = {"users": SnapshotFile("new.pages", 9, "n"), "events": SnapshotFile("", 0)}
    ledger.erase(memory, {"users": SnapshotFile("", 0), "events": SnapshotFile("new.parquet", 1, "s")})

    assert ledger.parts() == {"users": [SnapshotFile("new.pages", 9, "n")]}
    assert ledger.refusals() == {"events": SnapshotFile("new.parquet", 1, "s")}
    assert remembered(ledger)[2:] == [["events", "users"]] * 3
