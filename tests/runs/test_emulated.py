"""An emulator that is gone: what is remembered of it no longer counts, and a run that loses it does not end well."""

from contextlib import closing

import pytest
from workplace import KEY, Workplace

from bucket_loader import load
from bucket_loader.config import destination_at
from bucket_loader.delivery.journal import LedgerJournal
from bucket_loader.emulator import running
from bucket_loader.model import Outcome, PatienceError, Verdict
from bucket_loader.runs import emulated
from bucket_loader.state import State, look_at_file

COUNT = 60
STREAMS = """
- name: people
  record: user
  source: {type: csv, path: people.csv}
  fields: {userId: id, attributes: {n: n}}
- name: events
  record: event
  source: {type: csv, path: people.csv}
  key: [n]
  fields: {userId: id, event: {value: did}, attributes: {n: n}}
"""
HEAD = "  concurrency: 1\n  chunk: {records: 10}\n"


def filled(workplace):
    """Let a workplace have sixty users and as many events to load, in chunks of ten."""
    workplace.write("people.csv", "id,n\n" + "".join(f"u{n},{n}\n" for n in range(COUNT)))
    text = workplace.pipeline(STREAMS).read_text()
    workplace.write("pipeline.yaml", text.replace("streams:\n", HEAD + "streams:\n"))
    return workplace


@pytest.fixture
def loaded(workplace, emulator):
    """A workplace that was loaded into an emulator which has been reset since."""
    assert filled(workplace).run().exit_code == 0
    emulator.call("POST", "/_emulator/reset")
    return workplace


def ledger_of(workplace):
    """Look into the ledger of its one state."""
    (root,) = (workplace.folder / ".bucket_loader").iterdir()
    return closing(look_at_file(root / "ledger.db"))


def delivered(result):
    """Return how many records each stream of a run delivered."""
    return {name: counts["delivered"] for name, counts in result.summary["streams"].items()}


def test_a_run_begins_anew_for_an_emulator_that_took_the_place_of_another(loaded, emulator):
    """All is sent again, and a line before says why; the run after that sends nothing."""
    again, after = loaded.run(), loaded.run()

    assert again.exit_code == 0
    assert f"{2 * COUNT} records are remembered of an emulator that is gone" in again.stderr
    assert delivered(again) == {"people": COUNT, "events": COUNT}
    assert (emulator.state()["users"], emulator.state()["events"]) == (COUNT, COUNT)
    assert (delivered(after), after.summary["requests"]) == ({"people": 0, "events": 0}, 0)
    assert "gone" not in after.stderr


def test_a_plan_counts_everything_as_new(loaded):
    """`plan` compares with nothing that the emulator that is gone has taken; `run` then has nothing more to say."""
    planned, run = loaded.command("plan", "--json"), loaded.run()

    assert [counts["pending"] for counts in planned.summary["streams"].values()] == [COUNT, COUNT]
    assert "an emulator that is gone" in planned.stderr
    assert "an emulator that is gone" not in run.stderr
    assert delivered(run) == {"people": COUNT, "events": COUNT}


def test_a_check_warns_and_changes_nothing(loaded):
    """The next run says the same once more, and does it."""
    checked, run = loaded.command("check"), loaded.run()

    assert checked.exit_code == 0
    assert "warning: 120 records are remembered of an emulator that is gone" in checked.stderr
    assert delivered(run) == {"people": COUNT, "events": COUNT}


def test_load_begins_anew(loaded, monkeypatch):
    """The door of Python is a run like any other."""
    monkeypatch.setenv("BUCKET_BASE_URL", loaded.url)
    monkeypatch.setenv("BUCKET_SECRET_KEY", loaded.key)

    assert load(loaded.folder / "pipeline.yaml", quiet=True).streams["events"].delivered == COUNT


def test_a_plan_of_before_is_refused(workplace, emulator):
    """A plan that was made for the emulator that is gone would leave out what that one had."""
    planned = filled(workplace).command("plan", "--json").summary["plan"]
    assert workplace.run("--limit", "1").exit_code == 0
    planned = workplace.command("plan", "--json").summary["plan"]
    emulator.call("POST", "/_emulator/reset")

    refused = workplace.run("--plan", planned)

    assert refused.exit_code == 2
    assert "is out of date" in refused.stderr


def test_a_reset_under_a_run_ends_it_with_75_and_nothing_arrives_twice(workplace, emulator, monkeypatch):
    """What is meant for the emulator that is gone is refused by the other; the next run sends all, once."""
    commit, commits = LedgerJournal.commit, iter(range(1000))

    def harmed(self, entries):
        commit(self, entries)
        if next(commits) == 9:
            emulator.call("POST", "/_emulator/reset")

    monkeypatch.setattr(LedgerJournal, "commit", harmed)
    first = filled(workplace).run()
    between = emulator.state()
    second = workplace.run()

    assert (first.exit_code, first.summary["status"]) == (75, "unfinished")
    assert "was restarted or reset while this run was sending" in first.stderr
    assert 0 < sum(delivered(first).values()) < 2 * COUNT
    assert (between["users"], between["events"]) == (0, 0)
    assert "1 unfinished run of it closed" in second.stderr
    assert (second.exit_code, delivered(second)) == (0, {"people": COUNT, "events": COUNT})
    assert (emulator.state()["users"], emulator.state()["events"]) == (COUNT, COUNT)


def test_what_was_unfinished_and_held_is_closed_with_its_emulator(workplace, emulator):
    """Records that a person would have to decide over are rows of the next plan again; the audit says what is gone."""
    text = filled(workplace).folder.joinpath("pipeline.yaml").read_text()
    workplace.write("pipeline.yaml", text.replace("    key: [n]\n", "    key: [n]\n    on_unknown: hold\n"))
    emulator.faults({"kind": "cut_after", "on": "POST /bulk", "times": 2})
    first = workplace.run("--stream", "events")
    assert (first.exit_code, first.summary["streams"]["events"]["unknown"]) == (75, 20)
    emulator.call("POST", "/_emulator/reset")

    second, audit = workplace.run(), workplace.command("audit", first.summary["run"])

    assert (second.exit_code, delivered(second)["events"]) == (0, COUNT)
    assert workplace.command("release", "--all", "--json").summary["records"] == 0
    assert audit.exit_code == 0
    assert "it was sent to an emulator that is gone" in audit.stderr


def test_a_death_while_it_begins_anew_leaves_nothing_half_done(loaded, monkeypatch):
    """All is forgotten in one commit: who dies after it leaves files, and the next run sends everything once."""

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(State, "forget_parts", dies)
        loaded.run()
    with ledger_of(loaded) as ledger:
        assert (ledger.parts(), ledger.refusals(), ledger.cursors()) == ({}, {}, {})

    assert delivered(loaded.run()) == {"people": COUNT, "events": COUNT}


def test_a_state_without_an_emulator_takes_the_first_that_answers(workplace):
    """It is noted with the first answer, before anything that it took is."""
    filled(workplace).run("--limit", "1")

    with ledger_of(workplace) as ledger:
        assert ledger.meta("emulator") == emulated.emulator_at(destination_at(workplace.url, KEY))


def test_a_stopped_emulator_is_no_success(tmp_path):
    """Where nothing listens a run ends with 75, also with nothing to send; with `--data` an emulator stays itself."""
    with running(data_dir=tmp_path / "data", port=0) as endpoint:
        workplace = filled(Workplace(tmp_path, endpoint.url, endpoint.secret_key))
        assert workplace.run().exit_code == 0
    stopped = workplace.run()
    with running(data_dir=tmp_path / "data", port=int(endpoint.url.rpartition(":")[2])) as back:
        again = workplace.run()

    assert stopped.exit_code == 75
    assert f"nothing listens at {endpoint.url.removeprefix('http://')}" in stopped.stderr
    assert "start one: `bucket-loader emulator --port" in stopped.stderr
    assert back.secret_key == endpoint.secret_key
    assert (again.exit_code, again.summary["requests"]) == (0, 0)


def test_another_emulator_may_have_another_key(workplace, emulator):
    """The key belongs to what is forgotten; a key that is known no more is refused, also with nothing to send."""
    assert filled(workplace).run().exit_code == 0
    emulator.call("POST", "/_emulator/environments", {"name": "other", "secretKey": "sec_other_0123456789abcdef"})
    workplace.key = "sec_other_0123456789abcdef"

    other = workplace.run()
    emulator.call("DELETE", "/_emulator/environments/other")
    nobody = workplace.run()

    assert (other.exit_code, delivered(other)["people"]) == (0, COUNT)
    assert (nobody.exit_code, "refused the key" in nobody.stderr) == (5, True)


@pytest.mark.parametrize(("url", "is_here"), [
    ("http://127.0.0.1:8123", True), ("http://127.9.8.7", True), ("http://[::1]:8123", True),
    ("http://localhost:8123", True), ("https://front.bucket.co", False), ("https://localhost.example.com", False),
    ("https://10.0.0.1", False),
])  # fmt: skip
def test_only_what_is_on_this_machine_is_believed(monkeypatch, url, is_here):
    """The address alone decides; whoever else sends the header is not even asked."""
    asked = []
    monkeypatch.setattr(emulated, "get", lambda *words: asked.append(words) or (Outcome(Verdict.NOT_SENT), b""))

    class Ledger:
        def meta(self, _):
            return "0123456789abcdef"

    class Known:
        ledger = Ledger()

    try:
        emulated.meet_emulator(destination_at(url, KEY), Known(), lambda _: None)
    except PatienceError:
        assert is_here

    assert bool(asked) is is_here
