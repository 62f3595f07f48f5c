"""What is held for a person is not done: a run says so until somebody decides."""

import json

import pytest

EVENTS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  key: [id]
  on_unknown: hold
  fields: {userId: user, event: {value: did}, timestamp: {column: at, timezone: UTC}}
- name: others
  record: event
  source: {type: csv, path: others.csv}
  key: [id]
  fields: {userId: user, event: {value: did}, timestamp: {column: at, timezone: UTC}}
"""


@pytest.fixture
def held(workplace, emulator):
    """A workplace whose first run had no answer to its only chunk of events, and holds it."""
    rows = "".join(f"{number},u{number},2025-01-01T00:00:00Z\n" for number in range(5))
    for name in ("events.csv", "others.csv"):
        workplace.write(name, "id,user,at\n" + (rows if name == "events.csv" else ""))
    workplace.pipeline(EVENTS)
    emulator.faults({"kind": "cut_after"})
    result = workplace.run("--json")
    emulator.faults()
    assert (result.exit_code, result.summary["streams"]["events"]["unknown"]) == (75, 5)
    return workplace


def test_a_later_run_is_not_done_while_something_is_held(held):
    """Whatever else it delivers, it ends with 75, names what is held, and says that trying again cannot help."""
    first_run = json.loads(held.command("status", "--json").stdout)["runs"][0]["run"]
    held.write("others.csv", "id,user,at\nx,u9,2025-01-02T00:00:00Z\n")

    for words in ([], ["--stream", "others"], ["--exit-99-when-empty"]):
        result = held.run("--json", *words)

        assert (result.exit_code, result.summary["retry"]) == (75, False)
        assert result.summary["held"] == [{"run": first_run, "stream": "events", "chunk": "0-4", "records": 5}]
    assert first_run in result.stderr
    assert "bucket-loader release" in result.stderr


def test_who_has_decided_may_go_on(held):
    """With `--allow-held` only the rest counts; rejected rows still do."""
    held.write("others.csv", "id,user,at\nx,u9,2025-01-02T00:00:00Z\n")
    allowed = held.run("--json", "--allow-held")
    held.write("others.csv", "id,user,at\ny,,2025-01-02T00:00:00Z\n")
    rejected = held.run("--json", "--allow-held")

    assert (allowed.exit_code, allowed.summary["status"], len(allowed.summary["held"])) == (0, "succeeded", 1)
    assert rejected.exit_code == 3


def test_what_was_released_is_held_no_longer(held):
    """Sent again or dropped, the next run is done."""
    run = json.loads(held.command("status", "--json").stdout)["runs"][0]["run"]
    held.command("release", run)
    result = held.run("--json")

    assert result.exit_code == 0
    assert "held" not in result.summary
