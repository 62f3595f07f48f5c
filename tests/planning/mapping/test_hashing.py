"""`hash: hmac`: ids and attributes that leave the house only as keyed hashes."""

import hashlib
import hmac
import json

import pytest

HASH_KEY = "0123456789abcdef-hash-key"
STREAM = """
- name: users
  record: user
  source: {type: csv, path: users.csv}
  fields:
    userId: {column: email, hash: hmac}
    attributes: {phone: {column: phone, hash: hmac}, plan: plan}
"""


@pytest.fixture
def users(workplace):
    """Two users, one with a letter outside ASCII."""
    workplace.write("users.csv", "email,phone,plan\nzoë@example.com,+45 1,pro\nbob@example.com,,free\n")
    workplace.pipeline(STREAM, head="hash_key: ${HASH_KEY}\n")
    return workplace


def keyed(text, key=HASH_KEY):
    """Return what Python's own HMAC says."""
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def test_values_arrive_as_keyed_hashes(users, emulator):
    """HMAC-SHA256 in hex, as any other program computes it; null stays null."""
    result = users.run(HASH_KEY=HASH_KEY)
    records = [entry["item"] for entry in emulator.journal()]

    assert result.exit_code == 0, result.stderr
    assert [record["userId"] for record in records] == [keyed("zoë@example.com"), keyed("bob@example.com")]
    assert [record["attributes"] for record in records] == [
        {"phone": keyed("+45 1"), "plan": "pro"}, {"plan": "free"}]  # fmt: skip


def test_neither_the_key_nor_what_it_hides_is_in_a_message_or_the_ledger(users, emulator):
    """Not in what is said, and not on disk but in the plan's copy of the rows."""
    result = users.run("--json", HASH_KEY=HASH_KEY)
    told = result.stdout + result.stderr
    files = [path for path in (users.folder / ".bucket_loader").rglob("*") if path.is_file()]

    assert HASH_KEY not in told
    assert "example.com" not in told
    assert files
    for path in files:
        assert HASH_KEY.encode() not in path.read_bytes()
    assert all(b"example.com" not in path.read_bytes() for path in files if path.name.startswith("ledger"))


def test_a_long_key_is_hashed_first(users, emulator):
    """As RFC 2104 says for keys longer than a block."""
    key = "k" * 100
    users.run(HASH_KEY=key)

    assert emulator.journal()[1]["item"]["userId"] == keyed("bob@example.com", key)


def test_another_key_is_another_mapping(users, emulator):
    """An append stream without `key:` would send its history again: it asks first."""
    users.pipeline("- {name: e, record: event, source: {type: csv, path: users.csv}, fields: {userId: {column: email,"
                   " hash: hmac}, event: {value: x}, timestamp: {column: at, type: timestamp, timezone: UTC}}}",
                   head="hash_key: ${HASH_KEY}\n")  # fmt: skip
    users.write("users.csv", "email,at\na@example.com,2026-01-01\n")
    users.run(HASH_KEY=HASH_KEY)
    again = users.run(HASH_KEY="another-" + HASH_KEY)

    assert (again.exit_code, "mapping has changed" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("head", "variable", "said"),
    [
        ("", HASH_KEY, "needs a key"),
        (f"hash_key: {HASH_KEY}\n", HASH_KEY, "is written in the file"),
        ("hash_key: ${HASH_KEY:-0123456789abcdef}\n", HASH_KEY, "is written in the file"),
        ("hash_key: ${HASH_KEY}\n", "short", "can be guessed"),
    ],
)
def test_a_key_that_is_none_is_refused(users, head, variable, said):
    """Missing, literal or guessable: exit 2, and the key is not repeated."""
    users.pipeline(STREAM, head=head)
    result = users.run(HASH_KEY=variable)

    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert HASH_KEY not in result.stderr


def test_the_plan_shows_what_is_sent(users):
    """`plan --show` prints hashes, not what they hide."""
    result = users.command("plan", "--show", "2", "--json", HASH_KEY=HASH_KEY)

    assert keyed("bob@example.com") in result.stderr
    assert "bob@" not in result.stderr + json.dumps(result.stdout)


def test_check_warns_of_what_looks_like_personal_data(users):
    """By its name or its value, never showing one; what is hashed is no longer any."""
    plain = STREAM.replace("{column: email, hash: hmac}", "email").replace("{column: phone, hash: hmac}", "phone")
    users.pipeline(plain, head="hash_key: ${HASH_KEY}\n")
    warned = users.command("check", "--json", HASH_KEY=HASH_KEY)
    users.pipeline(STREAM.replace("phone: {", "contact: {"), head="hash_key: ${HASH_KEY}\n")
    quiet = users.command("check", "--json", HASH_KEY=HASH_KEY)

    assert [warning.split("'")[1] for warning in warned.summary["warnings"]] == ["userId", "phone"]
    assert "bob@" not in "".join(warned.summary["warnings"])
    assert quiet.summary["warnings"] == []
