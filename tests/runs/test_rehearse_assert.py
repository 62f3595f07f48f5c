"""`rehearse --assert FILE`: the command from end to end, and the test that we ship."""

import json
from pathlib import Path

import pytest

PIPELINES = Path(__file__).parents[2] / "pipelines"
UNSET = {"BUCKET_BASE_URL": None, "BUCKET_SECRET_KEY": None, "WAREHOUSE_URL": None, "BUCKET_ENVIRONMENT": None}
PIPELINE = """
name: t
destination: {base_url: "${NO_HOST}", key: "${NO_KEY}"}
streams:
  - name: users
    record: user
    source: {type: sql, url: "postgresql://${PGHOST_OF_TEST}/db", table: users}
    fields: {userId: id, attributes: "*"}
"""
ROWS = "sources:\n  users: [{id: u1, plan: pro}, {id: u1, plan: free}, {plan: pro}]\n"
FEATURES = [{"key": "f", "targeting": {"version": 1, "rules": [{"filter": {"type": "constant", "value": True}}]}}]


def rehearse(workplace, text, *words):
    """Rehearse the pipeline against a test of this text, without any variable."""
    workplace.write("pipeline.yaml", PIPELINE)
    file = workplace.write("t.assert.yml", text)
    return workplace.command("rehearse", "--assert", str(file), *words, **UNSET)


def events_of(result, name):
    """Return the JSON objects of one kind on stderr."""
    found = [json.loads(line) for line in result.stderr.splitlines()]
    return [one for one in found if one["event"] == name]


def test_the_test_that_we_ship_holds(workplace):
    """No variable is set, its two bad rows are expected, and nothing is said when it is quiet."""
    words = ["rehearse", str(PIPELINES / "nightly.yaml"), "--assert", str(PIPELINES / "nightly.assert.yml")]
    result = workplace.command_of(*words, "--json", "--quiet", **UNSET)

    assert (result.exit_code, result.stderr, result.exception) == (0, "", None)
    assert (result.summary["status"], result.summary["exit_code"]) == ("succeeded", 0)
    assert result.summary["assertions"]["failed"] == []
    assert result.summary["assertions"]["checked"] > 40


def test_what_does_not_hold_is_exit_3_with_the_difference(workplace):
    """On stderr as a person reads it, after all else; on stdout as a program does."""
    text = ROWS + "counts: {users: 1}\nusers:\n  u1: {attributes: {plan: pro}}\nrejected: [{row: 3, reason: missing}]\n"
    text += "as_of: 2026-01-31T08:00:00Z\n"
    result = rehearse(workplace, text, "--json", "--quiet")

    assert (result.exit_code, result.exception) == (3, None)
    file = workplace.folder / "t.assert.yml"
    assert result.stderr.splitlines()[-2:] == [
        f"{file}: 1 of 4 assertions do not hold",
        f'    {file}:5: user u1, attribute plan: expected "pro", found "free"',
    ]
    (failed,) = result.summary["assertions"]["failed"]
    assert (failed["line"], failed["expected"], failed["found"]) == (5, '"pro"', '"free"')
    assert (result.summary["exit_code"], result.summary["streams"]["users"]["superseded"]) == (3, 1)
    assert result.summary["as_of"] == "2026-01-31T08:00:00.000Z"


@pytest.mark.rehearsal
def test_a_program_that_reads_the_log_finds_the_differences(workplace):
    """An object for each; a rejected row that nothing expects is one, and the summary is the last object."""
    fixture = workplace.write("users.csv", "id,plan\nu1,pro\n,free\n")
    features = workplace.write("features.json", json.dumps({"features": FEATURES}))
    text = ROWS + "features: {f: {off: {users: [u1]}}}\n"
    more = ["--source", f"users={fixture}", "--features", str(features), "--log-format", "json"]
    result = rehearse(workplace, text, *more)

    assert result.exit_code == 3
    told = events_of(result, "assertion")
    assert [(one["level"], one["line"], one["found"].partition(":")[0]) for one in told] == [
        ("error", 1, "row 2 of stream users"), ("error", 3, "on")
    ]  # fmt: skip
    (ended,) = events_of(result, "assertions")
    assert (ended["failed"], ended["exit_code"], ended["checked"]) == (2, 3, 1)
    last = json.loads(result.stderr.splitlines()[-1])
    assert (last["event"], last["exit_code"], last["streams"]["users"]["read"]) == ("summary", 3, 2)


WRONG = {
    "no such file": (None, ["cannot read the assert file"]),
    "a misspelt word": ("users:\n  u1: {attribute: {}}\n", ["t.assert.yml:2:8", "did you mean `attributes`?"]),
    "a stream that is not there": (ROWS + "streams: {user: {}}\n", ["t.assert.yml:3", "did you mean `users`?"]),
    "a source that is not there": (
        "counts: {}\nsources: {user: []}\n",
        ["t.assert.yml:2:11", "'user'", "did you mean `users`?"],
    ),
    "a fixture that is not there": (
        "counts: {}\nsources: {users: none.csv}\n",
        ["t.assert.yml:2: there is no fixture", "none.csv"],
    ),
    "no fixture": ("counts: {users: 1}\nsources: {}\n", ["PGHOST_OF_TEST"]),
    "features that nothing defines": (ROWS + "features: {f: {}}\n", ["t.assert.yml:3", "--features FILE"]),
    "definitions that are not there": (ROWS + "definitions: f.json\n", ["t.assert.yml:3", "f.json"]),
    "definitions that are no JSON": (ROWS + "definitions: t.assert.yml\n", ["t.assert.yml:3", "not JSON"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_assert_file_is_exit_2(case, workplace):
    """Nothing is loaded; the message says what and where."""
    text, words = WRONG[case]
    given = text or ""
    result = rehearse(workplace, given, *([] if text else ["--assert", "none.yml"]))

    assert (result.exit_code, result.exception) == (2, None)
    assert [word for word in words if word not in result.stderr] == []
    assert "run 2" not in result.stderr


@pytest.mark.rehearsal
def test_features_that_nobody_knows_are_exit_2(workplace):
    """A malformed definition says where, a misspelt feature what may have been meant; nothing is loaded."""
    inline = f"definitions: {json.dumps(FEATURES)}\nfeatures: {{ff: {{}}}}\n"
    misspelt = rehearse(workplace, ROWS + inline)
    malformed = rehearse(workplace, ROWS + "definitions: [{key: f}]\nfeatures: {f: {}}\n")

    assert (misspelt.exit_code, malformed.exit_code) == (2, 2)
    assert "t.assert.yml:4" in misspelt.stderr
    assert "no feature is called 'ff'" in misspelt.stderr
    assert "did you mean `f`?" in misspelt.stderr
    assert "malformed features" in malformed.stderr
    assert "delivered" not in misspelt.stderr + malformed.stderr


@pytest.mark.rehearsal
def test_a_run_that_did_not_finish_ends_as_it_ends(workplace):
    """An outage is 75 whatever is expected, and the assertions are not looked at."""
    faults = json.dumps({"faults": [{"kind": "status", "status": 401}]})
    refused = rehearse(workplace, ROWS + "counts: {users: 1}\n", "--json", "--faults", faults)

    assert (refused.exit_code, refused.summary["exit_code"]) == (5, 5)
    assert "not looked at, since the run did not finish" in refused.stderr
    assert "assertions" not in refused.summary


@pytest.mark.rehearsal
def test_other_ends_stay_as_they_are(workplace):
    """`--allow-rejected` allows rows that nothing expects, and nothing to do is 99 where it was asked for."""
    allowed = rehearse(workplace, ROWS + "counts: {users: 1}\n", "--allow-rejected", "1")
    nothing = workplace.write("nothing.csv", "id,plan\n")
    empty = ["--source", f"users={nothing}", "--exit-99-when-empty"]

    assert allowed.exit_code == 0
    assert rehearse(workplace, ROWS + "counts: {users: 0, read: 0}\n", *empty).exit_code == 99
    assert rehearse(workplace, ROWS + "counts: {users: 1}\n", *empty).exit_code == 3


@pytest.mark.rehearsal
def test_a_test_can_be_held_against_the_real_sources(workplace):
    """Without fixtures the sources are read as ever."""
    workplace.write("accounts.csv", "id,plan\nc1,pro\n")
    pipeline = PIPELINE.replace("record: user", "record: company").replace("userId", "companyId")
    url = '{type: sql, url: "postgresql://${PGHOST_OF_TEST}/db", table: users}'
    workplace.write("real.yaml", pipeline.replace(url, "{type: csv, path: accounts.csv}"))
    file = workplace.write("real.yml", "companies: {c1: {attributes: {plan: pro}, exactly: true}}\n")
    words = ["rehearse", str(workplace.folder / "real.yaml"), "--assert", str(file)]

    assert workplace.command_of(*words, **UNSET).exit_code == 0
