"""`explain`: what every run knows of one row, and where it says that nothing is known any more."""

import json
from hashlib import sha256

import pytest
from explain_helpers import AT, HEADER, STREAMS, USAGE, explained, rows, sent, taken

from bucket_loader.state.ledger.connecting import Waiting
from bucket_loader.state.lock import Lock


@pytest.fixture
def loaded(workplace):
    """A workplace whose companies and events were loaded twice, with a change in between."""
    workplace.pipeline(STREAMS)
    usage = f"1,u1,00123,Opened,{AT}\n2,u1,00123,Saved,{AT}\n3,u2,124,Opened,{AT}\n4,u1,00123,Opened,never\n"
    workplace.write("usage.csv", USAGE + usage)
    workplace.write("accounts.csv", HEADER + '00123,Acme,5,pro,u1\n124,"B\neta",,free,u2\n125,Ceta,x,free,u3\n')
    workplace.run()
    workplace.write("accounts.csv", HEADER + '00123,Acme,7,team,u1\n124,"B\neta",,free,u2\n125,Ceta,x,free,u3\n')
    workplace.run()
    return workplace


def test_a_company_is_told_run_by_run_as_the_api_took_it(loaded, emulator):
    """Each delivered record is in the emulator's journal and the other way round; the newest comes first."""
    life = explained(loaded, "--company", "00123", "--stream", "companies")

    assert sent(life) == taken(emulator, "companyId", "00123", "company")
    assert len(life["runs"]) == 2
    assert [one["text"] for one in life["remembered"]] == [f"remembered, as run {life['runs'][0]['run']} delivered it"]


def test_each_field_names_the_rule_that_it_came_from(loaded):
    """A column, a column of `"*"`, an expression, a constant, a hash, the run's own time: each by its name."""
    row = rows(explained(loaded, "--company", "00123", "--stream", "companies"))[0]

    assert row["input"] == {"id": "00123", "name": "Acme", "seats": "7", "plan": "team", "owner": "u1"}
    assert {field["path"]: (field["value"], field["rule"]) for field in row["fields"]} == {
        "companyId": ("00123", "column id"),
        "attributes.name": ("Acme", '"*": column name'),
        "attributes.seats": (7, "column seats, type integer"),
        "attributes.tier": ("TEAM", "sql: upper(plan)"),
        "attributes.owner": (sha256(b"u1").hexdigest(), "sha256 of column owner"),
        "attributes.from": ("crm", "a constant"),
        "timestamp": (row["record"]["timestamp"], "the run's own time: the row gives none"),
        "context": ({"active": False}, "a background sync is no activity"),
    }


def test_a_default_is_told_as_one_and_a_row_has_its_place(loaded):
    """An empty column is named where its default was sent; the number of the row is that in the file."""
    (row,) = rows(explained(loaded, "--company", "124", "--stream", "companies"))

    assert (row["origin"], row["sequence"]) == ({"source": "accounts.csv", "row": 2}, 1)
    assert {"path": "attributes.seats", "value": 0, "rule": "default: column seats is empty"} in row["fields"]


def test_what_changed_is_told_field_by_field(loaded):
    """The record is held against the one that an earlier plan has; the first one is new."""
    after, before = rows(explained(loaded, "--company", "00123", "--stream", "companies"))

    assert before["compared"]["text"] == "new: nothing was known of it"
    assert after["compared"]["run"] == before["run"]
    assert after["compared"]["changes"] == [
        {"field": "attributes.seats", "old": 5, "new": 7},
        {"field": "attributes.tier", "old": "PRO", "new": "TEAM"},
    ]


def test_a_row_that_planning_rejected_is_found_with_its_line_and_reasons(loaded):
    """It has no record, so it is found by the column that its id comes from."""
    (again, first) = rows(explained(loaded, "--company", "125"))

    assert [row["fate_text"] for row in (again, first)] == ["rejected when it was planned"] * 2
    assert first["origin"] == {"source": "accounts.csv", "row": 3, "line": 5}
    assert [one["code"] for one in first["letters"][0]["reasons"]] == ["integer"]


def test_all_that_a_user_sent_is_told(loaded, emulator):
    """Its events are those that the emulator took; one that was rejected is among them."""
    life = explained(loaded, "--user", "u1")

    assert sent(life, "usage") == taken(emulator, "userId", "u1", "event")[::-1]
    assert {row["origin"]["row"] for row in rows(life) if row["fate"] == "rejected"} == {4}


def test_a_record_is_found_by_the_values_of_its_key(loaded):
    """One value for each column of `key:`; a rejected row is found by them too."""
    (found,), (rejected, _) = (rows(explained(loaded, "--key", number)) for number in ("3", "4"))

    assert found["record"]["userId"] == "u2"
    assert rejected["fate"] == "rejected"


def test_an_id_that_nobody_knows_is_no_error_and_other_spellings_are_named(loaded):
    """Zeros, blanks and letters: what is known in another spelling may be meant; and it says where it looked."""
    for words, known in (
        (("--company", "123"), "'00123'"),
        (("--company", " 124"), "'124'"),
        (("--user", "U1"), "'u1'"),
    ):
        life = explained(loaded, *words)

        assert life["runs"] == []
        assert [known in one for one in life["meant"]] == [True]
        assert life["looked"][0] == "2 runs: the plans of 2, the dead letters of 2"


def test_a_plan_that_was_pruned_is_said_to_be_gone(loaded):
    """What is remembered is known all the same, and since which run at the latest."""
    loaded.command("prune", "--older-than", "0s")

    life = explained(loaded, "--company", "00123")

    assert life["runs"] == []
    assert life["gone"][0].startswith("the plans of 2 runs are gone")
    assert life["remembered"][0]["state"] == "remembered"


def test_a_page_stands_alone_and_holds_no_key(loaded):
    """It may load nothing, it is for its owner alone, and what looks like HTML in a value is a text."""
    loaded.write("accounts.csv", HEADER + "00123,<script>alert(1)</script>,7,team,u1\n")
    loaded.run()

    page = loaded.folder / "why.html"
    result = loaded.command("explain", "--company", "00123", "--now", "--html", str(page))
    text = page.read_text("utf-8")

    assert result.exit_code == 0
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert loaded.key not in text
    assert page.stat().st_mode & 0o777 == 0o600


def test_a_quiet_command_still_answers_and_a_log_holds_no_row(loaded):
    """What was asked for is printed on the screen; with JSON lines on stderr no value stands there."""
    shown = loaded.command("explain", "--company", "00123", "--quiet")
    logged = loaded.command("explain", "--company", "00123", "--log-format", "json")

    assert "Acme" in shown.stderr
    assert "Acme" not in logged.stderr


def test_a_value_moves_no_terminal_and_every_blank_is_seen(loaded):
    """Signs that steer a terminal, turn words around or only look like a blank are escaped on the screen."""
    loaded.write("accounts.csv", HEADER + '00123,"A\x1b[2J\u009b1m\u202eB\u00a0C",7,team,u1\n')
    loaded.run()

    shown = loaded.command("explain", "--company", "00123").stderr

    assert not {"\x1b", "\x9b", "\u202e", "\u00a0"} & set(shown)
    assert "B\\xa0C" in shown


def test_a_hashed_id_is_asked_for_as_bucket_has_it(workplace):
    """What the source holds is known to be meant; by the hash, a row that was rejected is found as well."""
    people = "record: user\n  source: {type: csv, path: people.csv}\n  fields: {userId: {column: mail, hash: sha256}, "
    workplace.pipeline(f"- name: people\n  {people}attributes: {{n: {{column: n, type: integer}}}}}}\n")
    workplace.write("people.csv", "mail,n\na@x.org,1\n")
    workplace.run()
    workplace.write("people.csv", "mail,n\na@x.org,x\n")
    workplace.run()
    hashed = sha256(b"a@x.org").hexdigest()

    life = explained(workplace, "--user", hashed)

    assert [row["fate"] for row in rows(life)] == ["rejected", "delivered"]
    assert explained(workplace, "--user", "a@x.org")["meant"] == [f"known is userId {hashed!r}: is that meant?"]


def test_without_a_state_nothing_is_known(workplace):
    """It is said, and is no error."""
    workplace.pipeline(STREAMS)

    assert explained(workplace, "--company", "1")["looked"] == ["no state: nothing was run yet, so nothing is known"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "explain what?"),
        (["--user", "u1", "--company", "c1"], "explain what?"),
        (["--user", ""], "an id is empty"),
        (["--user", "u1", "--stream", "usages"], "did you mean"),
    ],
)
def test_a_wrong_command_is_refused(workplace, words, said):
    """Exit 2, and the message says what to give."""
    workplace.pipeline(STREAMS)

    result = workplace.command("explain", *words)

    assert result.exit_code == 2
    assert said in result.stderr


def test_it_looks_beside_a_run_and_changes_nothing(loaded):
    """The state may be locked by a run; not a byte of it is another afterwards."""
    root = next((loaded.folder / ".bucket_loader").glob("test@*"))

    def everything():
        return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    lock = Lock(root / "lock")
    lock.take(Waiting())
    before = everything()
    try:
        life = explained(loaded, "--company", "00123", "--now")
    finally:
        lock.close()

    assert (len(life["runs"]), everything()) == (2, before)
    assert json.dumps(life["now"]).count("unchanged")
