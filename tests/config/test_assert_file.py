"""The assert file: every mistake at once, with its line and what may have been meant; nothing hostile gets through."""

import pytest

from bucket_loader.config.assert_file import load_assertions
from bucket_loader.model.errors import ConfigError, UsageError

WRONG = """\
count: {users: 3}
counts: {user: 3, rejected: -1, events: "5", read: true}
users:
  u1: {attribute: {name: Ada}}
  u2: absnt
  u3: {attributes: {address: {city: Oslo}, l: [[1]]}, lastSeen: yesterday}
companies: {c1: {companies: [c1]}}
events:
  - {userid: u1}
  - {count: 2}
  - {event: x, timestamp: tomorrow}
  - 5
feedback: {userId: u1}
rejected:
  - {stream: a, row: 0}
features:
  h: {on: [c1]}
  g: {of: {users: [1]}}
  k: {on: {contexts: [{users: {id: 1}}]}}
sources: {a: 5, "../b": x.csv, c: [5]}
version: 2
users: {}
"""
# The line, the place, and a word of the message or the hint.
MISTAKES = [
    (1, "count", "did you mean `counts`?"),
    (2, "counts.user", "did you mean `users`?"),
    (2, "counts.rejected", "at least 0"),
    (2, "counts.events", "whole number"),
    (2, "counts.read", "whole number"),
    (4, "users.u1.attribute", "did you mean `attributes`?"),
    (5, "users.u2", "did you mean `absent`?"),
    (6, "users.u3.attributes.address", "address.city"),
    (6, "users.u3.attributes.l", "a list holds"),
    (6, "users.u3.lastSeen", "is no time"),
    (7, "companies.c1.companies", "not known here"),
    (9, "events[0].userid", "did you mean `userId`?"),
    (10, "events[1]", "says nothing of a record"),
    (11, "events[2].timestamp", "is no time"),
    (12, "events[3]", "mapping"),
    (13, "feedback", "list"),
    (15, "rejected[0].row", "at least 1"),
    (17, "features.h.on", "mapping"),
    (18, "features.g.of", "did you mean `off`?"),
    (19, "features.k.on.contexts[0].users", "did you mean `user`?"),
    (20, "sources.a", "must be text"),
    (20, "sources.../b", "letters, digits"),
    (20, "sources.c[0]", "mapping"),
    (21, "version", "1"),
    (22, "users", "written twice (first on line 3)"),
]
HOSTILE = {
    "empty": b"",
    "a list": b"- 1\n",
    "a text": b"hello",
    "no YAML": b"counts: {users: 3\nusers: ]",
    "another encoding": "counts: {users: 1} # é".encode("utf-16"),
    "a NUL": b"counts:\0",
    "a tag": b"counts: !!python/object/apply:os.system ['touch /tmp/owned']\n",
    "an alias bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (n, n, *[n - 1] * 9) for n in range(98, 106)),
    "an alias of itself": b"users: &a {u1: *a}\n",
    "deep enough": b"users: " + b"{a: " * 150 + b"1" + b"}" * 150,
    "too large": b"# " + b"x" * 1024 * 1024 + b"\ncounts: {}\n",
    "half a character": b'users: {"\\ud800": absent}\n',
    "a key that is a list": b"users: {[1, 2]: absent}\n",
    "a number too long": b"counts: {users: " + b"9" * 5_000 + b"}\n",
}


def load(folder, text):
    """Load a file of this text."""
    file = folder / "t.assert.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_assertions(file)


def test_every_mistake_has_its_line(tmp_path):
    """A misspelt word points to its place and says what may have been meant."""
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, WRONG)

    found = [(one.line, one.path, f"{one.message} {one.hint}") for one in refused.value.mistakes]
    missing = [
        (line, path, words)
        for line, path, words in MISTAKES
        if not any(line == at and path == where and words in said for at, where, said in found)
    ]
    assert missing == []
    assert len({(line, path) for line, path, _ in found}) == len(MISTAKES)
    assert f"{tmp_path}/t.assert.yml:4:8: users.u1.attribute" in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_one_message(case, tmp_path):
    """No traceback, no code that runs, no memory that fills."""
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, HOSTILE[case])
    assert "t.assert.yml" in str(refused.value)
    assert len(str(refused.value)) < 2_000


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    """Neither is a folder one."""
    for file in (tmp_path / "none.yml", tmp_path):
        with pytest.raises(UsageError, match="cannot read the assert file"):
            load_assertions(file)


def test_values_are_what_they_look_like(tmp_path):
    """Ids and dates are texts; a number, true, null and a text that is quoted are themselves."""
    text = 'users: {00123: {attributes: {a: 5, b: "5", c: 2026-01-31, d: true, e: null, f: yes}}, 7: absent, u: }\n'
    text += "events: [{userId: 7, event: x}]\ncompanies: {c: {users: u1}}\n"
    expected = load(tmp_path, text).expected

    values = {"a": 5, "b": "5", "c": "2026-01-31", "d": True, "e": None, "f": "yes"}
    assert expected.users["00123"].attributes == values
    assert (expected.users["7"], expected.events[0].userId, expected.companies["c"].users) == ("absent", "7", ["u1"])


def test_names_are_held_against_those_that_there_are(tmp_path):
    """A stream or a feature that nobody knows is a mistake with its line, not a test that passes for ever."""
    asserted = load(tmp_path, "streams: {user: {read: 1}}\nrejected: [{stream: xyz}]\nfeatures:\n  hudle: {}\n")

    with pytest.raises(ConfigError) as streams:
        asserted.require_streams(["users", "events"])
    with pytest.raises(ConfigError) as features:
        asserted.require_features(["huddle"])
    assert [(one.line, one.hint) for one in streams.value.mistakes] == [
        (1, "did you mean `users`?"), (2, "there are: users, events")
    ]  # fmt: skip
    assert [(one.line, one.hint) for one in features.value.mistakes] == [(4, "did you mean `huddle`?")]
