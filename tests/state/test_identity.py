"""Names that are spelt alike never share a state, and what an older version has made goes on."""

import shutil
import sqlite3
from contextlib import closing
from itertools import combinations

import pytest
from workplace import COMPANIES

from bucket_loader.state.identity import Identity
from bucket_loader.state.ledger.connecting import schema_of

NAMES = [
    "daily sync",
    "daily_sync",
    "daily  sync",
    "daily sync ",
    "Daily sync",
    "DAILY_SYNC",
    "a" * 100,
    "a" * 99 + "A",
]
HOSTS = [
    "front.bucket.co",
    "front_bucket.co",
    "h:80",
    "h_80",
    "h:8",
    "b\u00fccher.de",
    "b\u00e4cher.de",
    "[::1]:80",
    "a@b",
]
FREE = ["e\u0301", "\u00e9", "\ud800", "a/b", "..", "", "x" * 1_000, "x" * 1_001]
ALL = [
    *(Identity(name, "production", "front.bucket.co") for name in [*NAMES, *FREE]),
    *(Identity("nightly", name, "front.bucket.co") for name in ["production", "prod eu", "prod_eu", "Prod_eu", *FREE]),
    *(Identity("nightly", "production", host) for host in HOSTS[1:]),
    Identity("a@b", "c", "d"),
    Identity("a", "b@c", "d"),
]


def test_identities_that_differ_have_folders_that_differ():
    """Also where upper and lower case are one, and so do their schemas; each is a folder's name on any file system."""
    for name_of in (lambda one: one.folder.lower(), lambda one: schema_of(one.folder).lower()):
        for one, other in combinations(ALL, 2):
            assert name_of(one) != name_of(other), (one, other)
    assert all(one.folder.isascii() and len(one.folder) <= 143 and "/" not in one.folder for one in ALL)


def test_a_name_that_loses_nothing_keeps_its_folder():
    """What most pipelines have is found as before; a port is no loss."""
    assert Identity("nightly-2.b_c", "production", "h:80").folder == "nightly-2.b_c@production@h_80"


def run_named(workplace, name, ids):
    """Run a pipeline of that name with companies of its own."""
    workplace.write("accounts.csv", "id\n" + "".join(f"{one}\n" for one in ids))
    workplace.pipeline(COMPANIES, name=name)
    return workplace.run()


@pytest.mark.parametrize("names", [("daily sync", "daily_sync"), ("daily_sync", "daily sync"), ("Nightly", "nightly")])
def test_two_pipelines_send_the_same_ids_each_for_itself(workplace, emulator, names):
    """In one folder; and each remembers what is its own."""
    for requests in (1, 0):
        results = [run_named(workplace, name, ["a", "b"]) for name in names]
        assert [one.exit_code for one in results] == [0, 0]
        assert [one.summary["requests"] for one in results] == [requests] * 2
    assert emulator.state()["requests"] == 2


def as_it_was(workplace, name, spelling):
    """Turn the state of a pipeline into one of an older version: the folder as it was spelt, and no identity noted."""
    run_named(workplace, name, ["a", "b"])
    (folder,) = (workplace.folder / ".bucket_loader").iterdir()
    host = workplace.url.removeprefix("http://").replace(":", "_")
    older = folder.rename(folder.parent / f"{spelling}@production@{host}")
    with closing(sqlite3.connect(older / "ledger.db")) as ledger, ledger:
        ledger.execute("DELETE FROM meta WHERE name = 'identity'")
    return older


@pytest.mark.parametrize("name", ["daily sync", "daily_sync", "Daily sync"])
def test_an_older_folder_is_found_and_goes_on(workplace, emulator, name):
    """Nothing is sent again, no second folder is made, and `status` sees its runs."""
    older = as_it_was(workplace, name, name.replace(" ", "_"))
    for _ in range(2):
        assert run_named(workplace, name, ["a", "b"]).summary["requests"] == 0
    assert list(older.parent.iterdir()) == [older]
    assert workplace.command("status", "--json").stdout.count('"status": "succeeded"') == 3


@pytest.mark.parametrize(("owner", "other"), [("daily sync", "daily_sync"), ("daily_sync", "daily sync")])
@pytest.mark.parametrize("again", [False, True])
def test_an_older_folder_is_not_anothers(workplace, emulator, owner, other, again):
    """It may hold what either has sent: exit 2, for good, also to look at; with a state of its own it runs."""
    as_it_was(workplace, owner, "daily_sync")
    if again:
        run_named(workplace, owner, ["a", "b"])
    refused = run_named(workplace, other, ["a", "b"])

    assert (refused.exit_code, emulator.state()["requests"]) == (2, 1)
    assert repr(owner) in refused.stderr
    assert "--state" in refused.stderr
    assert workplace.command("status").exit_code == 2
    assert workplace.run("--state", str(workplace.folder / "own")).summary["requests"] == 1
    assert run_named(workplace, owner, ["a", "b"]).summary["requests"] == 0


@pytest.mark.postgres
def test_names_are_kept_apart_on_a_server_and_an_older_schema_goes_on(workplace, emulator, tmp_path):
    """The same on PostgreSQL, whose schema has the folder's name."""
    from uuid import uuid4

    import psycopg
    import servers

    url, mark = servers.postgres_url(), f"t{uuid4().hex[:8]}"
    names = [f"{mark} {word}" for word in ("x", "X")] + [f"{mark}_x"]
    words = ["--state", url, "--state", str(tmp_path / "here")]
    for requests in (1, 0):
        for name in names:
            run_named(workplace, name, ["a", "b"])
            assert workplace.run(*words).summary["requests"] == requests
    exact = Identity(names[0], "production", workplace.url.removeprefix("http://"))
    older = schema_of(exact.spelling)
    with psycopg.connect(url) as server:
        server.execute(f'DROP SCHEMA "{older}" CASCADE')
        server.execute(f'ALTER SCHEMA "{schema_of(exact.folder)}" RENAME TO "{older}"')
        server.execute(f"DELETE FROM \"{older}\".meta WHERE name = 'identity'")
    shutil.rmtree(tmp_path / "here" / exact.spelling)
    (tmp_path / "here" / exact.folder).rename(tmp_path / "here" / exact.spelling)
    for name, code in zip(names, (0, 0, 2), strict=True):
        run_named(workplace, name, ["a", "b"])
        result = workplace.run(*words)
        assert result.exit_code == code, result
        assert code or result.summary["requests"] == 0
