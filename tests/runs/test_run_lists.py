"""How lists are sent: as the file says, else as the state knows; what stays behind is told once."""

import json
import sqlite3
from contextlib import closing

import pytest
from workplace import Emulator

from bucket_loader.reporting import on_stderr
from bucket_loader.runs import rehearsed
from bucket_loader.runs.job import RunOptions

LIST = """
- name: s
  record: company
  source: {type: jsonl, path: x.jsonl}
  fields:
    companyId: id
    attributes: {tags: {column: tags, type: json}}
"""
EVENTS = LIST.replace(
    "companyId: id", "userId: id\n    event: {value: e}\n    timestamp: {value: '2026-01-01T00:00:00Z'}"
)
EVENTS = EVENTS.replace("company", "event")


def write(workplace, *rows):
    """Write the source: a list for each row."""
    lines = [json.dumps({"id": str(number), "tags": tags}) for number, tags in enumerate(rows)]
    workplace.write("x.jsonl", "".join(f"{line}\n" for line in lines))


def sent(emulator):
    """Return the attributes of all that was sent, in order."""
    return [item["item"].get("attributes") for item in emulator.journal()]


def delivered_before(workplace, streams=LIST):
    """Deliver as a version did that knew dotted names alone, and whose state says nothing of lists."""
    write(workplace, ["a", "b"])
    workplace.pipeline(streams, head="arrays: flatten\n")
    assert workplace.run().exit_code == 0
    (ledger,) = workplace.folder.rglob("ledger.db")
    with closing(sqlite3.connect(ledger)) as database, database:
        assert database.execute("DELETE FROM meta WHERE name LIKE 'arrays%'").rowcount == 2
    workplace.pipeline(streams)


def test_a_new_pipeline_keeps_lists(workplace, emulator):
    """A list that shrinks is sent whole each time, and so is one without items; the state keeps the form."""
    workplace.pipeline(LIST)
    for tags in (["a", "b"], ["a"], []):
        write(workplace, tags)
        assert workplace.run().exit_code == 0

    assert sent(emulator) == [{"tags": ["a", "b"]}, {"tags": ["a"]}, {"tags": []}]


def test_the_emulator_stores_what_bucket_stores(workplace, emulator):
    """A list that shrinks, grows, empties, is mixed, or passes the limits: always the last one alone, as texts."""
    workplace.pipeline(LIST, head="on_truncation: send\n")
    stored = []
    for tags in (
        ["a", "b"],
        ["a"],
        ["a", "b", "c"],
        [],
        [1, 0.5, True, None, {"b": 1, "a": [2]}],
        ["x"] * 1_001,
        ["y"],
    ):
        write(workplace, tags)
        assert workplace.run().exit_code == 0
        stored.append(json.loads(emulator.call("GET", "/_emulator/companies/0"))["attributes"])

    assert [found["tags"] for found in stored] == [
        ["a", "b"], ["a"], ["a", "b", "c"], [], ["1", "0.5", "true", "", '{"a":[2],"b":1}'], "[TRUNCATED]", ["y"]
    ]  # fmt: skip
    assert all(list(found) == ["tags"] for found in stored)


def test_a_replay_as_recorded_changes_no_form(workplace, emulator):
    """What was refused before the change goes out as it was; the state keeps the form that the file has now."""
    delivered_before(workplace)
    write(workplace, ["bad"])
    emulator.faults({"kind": "status", "status": 400, "rate": 1.0})
    refused = workplace.run()
    emulator.faults()
    workplace.pipeline(LIST, head="arrays: keep\n")
    write(workplace, ["c"])
    after = workplace.run()
    assert (refused.exit_code, after.exit_code) == (3, 0)
    replayed = workplace.command_of("replay", refused.summary["dead_letters"])
    workplace.pipeline(LIST)
    write(workplace, ["d"])

    assert replayed.exit_code == 0, replayed.stderr
    assert workplace.run().exit_code == 0
    assert sent(emulator)[-1] == {"tags": ["d"]}


def test_what_has_delivered_dotted_names_goes_on_with_them(workplace, emulator):
    """Nothing is sent again; the first run says once what `keep` would leave behind."""
    delivered_before(workplace)
    first = workplace.run()
    write(workplace, ["c"])
    second = workplace.run()

    assert [one.summary["streams"]["s"]["delivered"] for one in (first, second)] == [0, 1]
    assert sent(emulator) == [{"tags.0": "a", "tags.1": "b"}, {"tags.0": "c"}]
    assert "With `keep`: What was sent stays in Bucket beside it: tags.0 to tags.1" in first.stderr
    assert "arrays" not in second.stderr


def test_a_changed_form_says_once_what_stays_behind(workplace, emulator):
    """The records with lists go out once more, and the dotted names can be cleared by null."""
    delivered_before(workplace)
    workplace.pipeline(LIST, head="arrays: keep\n")
    planned, first = workplace.command("plan"), workplace.run()
    workplace.pipeline(LIST)
    second = workplace.run("--full")
    cleared = LIST.replace("{tags:", '{"tags.0": {value: null}, "tags.1": {value: null}, tags:')
    workplace.pipeline(cleared.replace("  fields:", "  nulls: send\n  fields:"))
    assert workplace.run().exit_code == 0

    assert ["tags.0 to tags.1" in one.stderr for one in (planned, first, second)] == [True, True, False]
    assert sent(emulator)[1:] == [{"tags": ["a", "b"]}] * 2 + [{"tags": ["a", "b"], "tags.0": None, "tags.1": None}]


def test_what_is_known_by_its_content_waits_for_a_person(workplace, emulator):
    """Without `key:` the other form makes rows new: exit 2 until that is accepted."""
    delivered_before(workplace, EVENTS)
    assert workplace.run().summary["streams"]["s"]["delivered"] == 0
    workplace.pipeline(EVENTS, head="arrays: keep\n")
    refused, accepted, again = workplace.run(), workplace.run("--accept-mapping"), workplace.run()

    assert [one.exit_code for one in (refused, accepted, again)] == [2, 0, 0]
    assert "`arrays:` has changed" in refused.stderr
    assert len(sent(emulator)) == 2


def test_a_key_knows_rows_in_either_form(workplace, emulator):
    """With `key:` what was sent stays as it was sent, and new rows have the new form."""
    keyed = EVENTS.replace("  fields:", "  key: [id]\n  fields:")
    delivered_before(workplace, keyed)
    workplace.pipeline(keyed, head="arrays: keep\n")
    write(workplace, ["a", "b"], ["c"])

    assert workplace.run().exit_code == 0
    assert sent(emulator) == [{"tags.0": "a", "tags.1": "b"}, {"tags": ["c"]}]


@pytest.mark.parametrize("command", ["rehearse", "check"])
def test_other_commands_send_lists_as_the_real_state_does(workplace, emulator, command):
    """A rehearsal and a check have states of their own, and ask the real one."""
    delivered_before(workplace)
    result = workplace.command(command)
    shown = workplace.command("plan", "--full", "--show", "1")

    assert result.exit_code == 0, result.stderr
    assert '"tags.0":"a"' in shown.stdout + shown.stderr
    if command == "check":
        assert '"tags.0":"a"' in result.stderr
        assert "write `arrays: flatten` at its top" in result.stderr


def test_a_rehearsal_stores_lists_as_the_real_state_does(workplace, monkeypatch):
    """The private emulator holds dotted names where the real state has delivered them."""
    delivered_before(workplace)
    monkeypatch.setenv("BUCKET_BASE_URL", workplace.url)

    with rehearsed(workplace.folder / "pipeline.yaml", RunOptions(), on_stderr(quiet=True)) as (found, summary):
        company = json.loads(Emulator(found.bucket.url).call("GET", "/_emulator/companies/0"))

    assert summary.exit_code == 0
    assert company["attributes"] == {"tags.0": "a", "tags.1": "b"}


def test_check_asks_for_the_form_where_lists_occur(workplace, emulator):
    """Not where it is written, and not where there is no list."""
    write(workplace, ["a"])
    workplace.pipeline(LIST)
    asked = workplace.command("check")
    workplace.pipeline(LIST, head="arrays: keep\n")
    written = workplace.command("check")
    workplace.pipeline(LIST)
    write(workplace, "a")
    without = workplace.command("check")

    assert ["write `arrays: keep`" in one.stderr for one in (asked, written, without)] == [True, False, False]


def test_what_bucket_would_truncate_is_rejected_or_sent_and_told(workplace, emulator):
    """`on_truncation: reject` is the default; with `send` the row goes out, and is named."""
    write(workplace, ["x"] * 1_001, ["y"])
    workplace.pipeline(LIST)
    rejected = workplace.run()
    workplace.pipeline(LIST, head="on_truncation: send\n")
    told = workplace.run()

    assert (rejected.exit_code, told.exit_code) == (3, 0)
    (letter,) = workplace.dead_letters(rejected)
    assert [(one["code"], one["field"]) for one in letter["reasons"]] == [("truncated", "attributes.tags")]
    assert "column 'tags': 1 rows hold a list of more than 1,000 items" in told.stderr
    assert len(sent(emulator)) == 2


def test_the_older_apis_take_no_lists(workplace):
    """They keep dotted names, and `arrays: keep` beside them is a mistake."""
    write(workplace, ["a"])
    file = workplace.pipeline(LIST)
    older = file.read_text("utf-8").replace("  patience", "  api: front-legacy\n  patience")
    workplace.key = "pub_test_0123456789abcdef0123"
    file.write_text(older, "utf-8")
    shown = workplace.command("plan", "--show", "1")
    file.write_text(f"arrays: keep\n{older}", "utf-8")
    refused = workplace.command("plan")

    assert '"tags.0":"a"' in shown.stdout + shown.stderr
    assert refused.exit_code == 2
    assert "takes no lists" in refused.stderr
