"""A ledger on PostgreSQL: connections that break, servers that restart, copies that take over, and what none may do."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from urllib.parse import quote

import pytest
import servers
from ledgers import NO_WAITING, RUN, OnServer, Proxy, begin, chunk, delivered, seen

from bucket_loader.model.errors import StateError, StateLockedError, StateUnavailableError, UsageError
from bucket_loader.state.ledger import Ambiguous, Intent, Ledger, postgres, session_lock
from bucket_loader.state.ledger.connecting import LEASE_S, Server, Waiting, schema_of
from bucket_loader.state.ledger.looking import to_read
from bucket_loader.state.ledger.postgres import PostgresDatabase, look
from bucket_loader.state.ledger.seats import SenderSeat

pytestmark = pytest.mark.postgres
SOON = Waiting(reconnect_s=0.5)


@pytest.fixture
def place():
    """A schema of its own."""
    return OnServer()


@pytest.fixture
def proxy(place):
    """A way to the server that can break; the place is reached by it."""
    way = Proxy(servers.postgres())
    place.url = place.url.replace(f":{servers.postgres()}/", f":{way.port}/")
    yield way
    way.close()


@pytest.fixture
def ledger(place):
    """A ledger with a run."""
    with closing(place.open()) as opened:
        begin(opened)
        yield opened


# --- breaks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [False, True], ids=["before the commit", "instead of its answer"])
def test_a_commit_that_breaks_is_done_once(proxy, place, ledger, answered):
    """Whether the server had committed or not when the connection broke: it is done, and not twice."""
    ledger.commit(RUN, [Intent(chunk(0))])
    for number in range(5):
        proxy.break_at(b"COMMIT", answered=answered)
        ledger.commit(RUN, [Ambiguous(chunk(0))])
        assert proxy.broken == number + 1

    assert seen(place) == [("0-9", "intent", 5, 5, None)]


def test_sessions_that_the_server_ends_lose_nothing(place, ledger):
    """An administrator's `pg_terminate_backend`, at any moment, is waited out: each write is done, and once."""
    errors, made, enough = [], [0] * 2, threading.Event()

    def write(worker):
        try:
            while not enough.is_set():
                ledger.commit(RUN, [Intent(chunk(worker * 100_000 + made[worker] * 10))])
                ledger.commit(RUN, [Ambiguous(chunk(worker * 100_000 + made[worker] * 10))])
                made[worker] += 1
        except Exception as error:  # noqa: BLE001  # any is the failure that is looked for
            errors.append(error)

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(2)]
    with place.other() as ask:
        for writer in writers:
            writer.start()
        ended = 0
        while ended < 10 and any(writer.is_alive() for writer in writers):
            ended += len(ask("SELECT pg_terminate_backend(CAST(pid AS int)) FROM pg_stat_activity WHERE query LIKE "
                             "'%COMMIT%' AND pid <> pg_backend_pid()"))  # fmt: skip
            time.sleep(0.03)
    enough.set()
    for writer in writers:
        writer.join()

    assert errors == []
    assert sorted(seen(place)) == sorted(
        (chunk(worker * 100_000 + n * 10).members, "intent", 1, 1, None)
        for worker in range(2)
        for n in range(made[worker])
    )


def test_a_query_that_breaks_is_asked_again(proxy, ledger):
    """A new connection answers what the broken one did not."""
    proxy.break_at(b"SELECT", answered=False)

    assert [row.run for row in ledger.runs()] == [RUN]


def test_a_server_that_restarts_is_waited_for(place, ledger):
    """Committing goes on through a crash of the server; what was committed before is there, nothing is there twice."""
    ended = threading.Event()

    def work(worker):
        for number in range(1_000):
            ledger.commit(RUN, [Intent(chunk(worker * 10_000 + number))])
            made[worker] = number + 1
            if ended.is_set():
                return

    made = [0] * 4
    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(2):
        time.sleep(0.1)
        servers.restart_postgres()
        before = sum(made)
        while sum(made) < before + 8:
            time.sleep(0.01)
    ended.set()
    for worker in workers:
        worker.join()

    assert len(seen(place)) == sum(made)


def test_a_server_that_stays_away_ends_the_run(proxy, place):
    """After its time the ledger gives up: exit 75, nothing more can be committed, and whoever sends is told to stop."""
    waiting = replace(SOON, stopped=threading.Event())
    with closing(place.open(waiting)) as ledger:
        begin(ledger)
        proxy.is_open = False
        proxy.cut()
        with pytest.raises(StateUnavailableError, match="out of reach"):
            ledger.commit(RUN, [Intent(chunk(0))])
        proxy.is_open = True
        with pytest.raises(StateUnavailableError):
            ledger.commit(RUN, [Intent(chunk(0))])
        with pytest.raises(StateUnavailableError):
            ledger.database.wait_until_held()

    assert waiting.stopped.is_set()
    assert seen(place) == []


def test_a_broken_connection_is_noticed_before_a_request_goes_out(proxy, ledger):
    """Whoever tries a request again asks first: with the connection gone it is made anew, with the lock."""
    proxy.cut()
    ledger.database.wait_until_held()
    ledger.commit(RUN, [Intent(chunk(0))])

    assert len(ledger.chunks(RUN, 0, "intent")) == 1


@pytest.mark.parametrize("word", [b"pg_try_advisory_lock", b"epoch + 1"])
def test_a_break_while_the_state_is_opened_is_survived(proxy, place, word):
    """It is opened again from the start."""
    proxy.break_at(word, answered=False)
    with closing(place.open()) as ledger:
        begin(ledger)

    assert proxy.broken == 1


def test_a_break_after_long_waiting_for_the_lock_is_survived(proxy, place, ledger, monkeypatch):
    """Who has waited for the lock longer than for a server that is to come up waits on after a break."""
    monkeypatch.setattr(postgres, "FIRST_S", 0.3)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(place.open, Waiting(lock_s=20.0))
        time.sleep(0.6)
        proxy.cut()
        threading.Timer(0.2, ledger.close).start()
        with closing(waiting.result()) as second:
            assert [row.run for row in second.runs()] == [RUN]


def test_a_sender_whose_coming_was_not_answered_comes_again(proxy, place, ledger):
    """The server noted it, and broke before it said so: it is the same sender, once."""
    ledger.close()
    proxy.break_at(b"INSERT INTO sender", answered=True)
    with closing(PostgresDatabase(Server(place.url), place.schema, Waiting(), SenderSeat(RUN))) as database:
        database.write([])
        came = database.query("SELECT count(*) FROM sender")

    assert (proxy.broken, came) == (1, [(1,)])


# --- copies --------------------------------------------------------------------------------------------------------


def test_a_second_copy_is_refused(place, ledger):
    """One owns the state; the other is told so, with exit 75, and the first goes on."""
    with pytest.raises(StateLockedError, match="another copy"):
        place.open()
    ledger.commit(RUN, [Intent(chunk(0))])

    assert StateLockedError.exit_code == 75


def test_a_second_copy_can_wait(place, ledger):
    """With a time to wait it takes over when the first has ended."""
    threading.Timer(0.3, ledger.close).start()
    with closing(place.open(Waiting(lock_s=20.0))) as second:
        assert [row.run for row in second.runs()] == [RUN]


def test_an_owner_that_the_server_has_not_heard_of_for_long_is_taken_over(place, monkeypatch):
    """By the server's clock alone: its machine sleeps, or was cut off where something keeps its connection open."""
    monkeypatch.setattr(session_lock, "LEASE_S", 0.6)
    monkeypatch.setattr(postgres, "_LOOKS_EVERY_S", 0.1)
    with closing(place.open()) as awake:
        time.sleep(1.0)
        with pytest.raises(StateLockedError, match="another copy is running"):
            place.open()
        awake.note(still="mine")
    monkeypatch.setattr(postgres, "_LOOKS_EVERY_S", 1_000.0)
    with closing(place.open()) as asleep:
        time.sleep(1.0)
        with closing(place.open()) as second:
            begin(second)
            with pytest.raises(StateLockedError, match="taken over"):
                asleep.note(still="mine")


def test_who_was_not_answered_for_long_asks_before_a_request_is_sent(place, ledger, monkeypatch):
    """A process that was stopped, or slept, may hold a connection that only seems to stand."""
    with place.other() as ask:
        ask("UPDATE owner SET epoch = epoch + 1")
        ask("SELECT pg_terminate_backend(CAST(backend AS int)) FROM owner")
    monkeypatch.setattr(ledger.database, "_is_gone", lambda: False)
    ledger.database.wait_until_held()  # just heard of
    ledger.database._heard_s -= 1_000.0
    monkeypatch.undo()

    with pytest.raises(StateLockedError, match="taken over"):
        ledger.database.wait_until_held()
    with pytest.raises(StateLockedError):
        begin(ledger, "20260101T000000001Z")
    assert [row.run for row in ledger.runs()] == [RUN]  # what is there can be told still


def test_a_schema_that_is_dropped_under_its_owner_is_named(place, ledger):
    """The state is gone for this run, for good, as a folder that was removed: exit 2, and no traceback."""
    with place.other() as ask:
        ask(f'DROP SCHEMA "{place.schema}" CASCADE')
    for _ in range(2):
        with pytest.raises(StateError, match="was removed while") as told:
            ledger.commit(RUN, [Intent(chunk(0))])

    assert told.value.exit_code == 2


FORKS = """
import os, sys, time
from ledgers import RUN, OnServer, begin, chunk
from bucket_loader.model.errors import StateLockedError
from bucket_loader.state.ledger import Intent
ledger = OnServer(sys.argv[1], sys.argv[2]).open()
begin(ledger)
child = os.fork()
if child == 0:
    os.close(1)
    try:
        ledger.commit(RUN, [Intent(chunk(10))])
    except StateLockedError as error:
        ledger.close()
        time.sleep(60 if "fork" in str(error) else 0)
    os._exit(0)
time.sleep(0.3)
ledger.commit(RUN, [Intent(chunk(20))])
print(child, flush=True)
time.sleep(60)
"""


def test_the_lock_ends_with_a_killed_run_also_when_its_fork_lives_on(place):
    """The fork has let go of the connection, without a word to the server; it commits nothing, and keeps nobody out."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", FORKS, place.url, place.schema]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as run:
        child = int(run.stdout.readline())
        run.kill()
        run.wait()
        try:
            with closing(place.open()) as second:
                assert [row.members for row in second.chunks(RUN, 0, "intent")] == ["20-29"]
        finally:
            os.kill(child, signal.SIGKILL)


def test_states_of_two_pipelines_do_not_mix(place, ledger):
    """Each has a schema and a lock of its own."""
    with closing(OnServer().open()) as other:
        assert other.runs() == []


def test_who_lost_the_state_can_commit_nothing(proxy, place, ledger):
    """While the first copy's connection was broken another took over: the first stops for good, and says why."""
    proxy.is_open = False
    proxy.cut()
    second_way = OnServer(schema=place.schema)
    with closing(second_way.open(Waiting(lock_s=20.0))) as second:
        proxy.is_open = True
        with pytest.raises(StateLockedError, match="taken over"):
            ledger.commit(RUN, [Intent(chunk(0))])
        second.commit(RUN, [Intent(chunk(10))])
        with pytest.raises(StateLockedError):
            ledger.database.wait_until_held()

    assert [row[0] for row in seen(second_way)] == ["10-19"]


def test_a_transaction_is_refused_when_the_state_has_another_owner(place, ledger):
    """Even with its connection whole, as behind a pooler that shares sessions: the commit itself checks the owner."""
    with place.other() as ask:
        ask("UPDATE owner SET epoch = epoch + 1")
    with pytest.raises(StateLockedError, match="taken over"):
        ledger.commit(RUN, [Intent(chunk(0))])

    assert seen(place) == []


def test_a_ledger_that_went_back_in_time_is_refused(proxy, place, ledger):
    """A restored backup, or a standby that lagged behind, has forgotten a commit: nothing more is sent."""
    ledger.commit(RUN, [Intent(chunk(0))])
    with place.other() as ask:
        ask("UPDATE owner SET token = 'of an earlier day'")
        ask("DELETE FROM chunk")
    proxy.cut()

    with pytest.raises(StateError, match="lost what it had committed") as refused:
        ledger.commit(RUN, [Intent(chunk(10))])
    assert refused.value.exit_code == 2


def test_a_worker_that_vanished_gives_the_lock_back(ledger):
    """The server looks after a silent connection itself, for no longer than the lease; we look more often."""
    settings = dict(ledger.database.query("SELECT name, setting FROM pg_settings WHERE starts_with(name, 'tcp_')"))
    last = int(settings["tcp_keepalives_interval"]) * int(settings["tcp_keepalives_count"])

    assert int(settings["tcp_keepalives_idle"]) + last == LEASE_S
    assert int(settings["tcp_user_timeout"]) == LEASE_S * 1000


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["synchronous_commit", "fsync"])
def test_a_server_that_does_not_sync_is_refused(place, monkeypatch, setting):
    """What a power cut may take back is no ledger; a session's own setting is put right."""
    import psycopg

    shown = psycopg.Connection.execute

    def execute(connection, statement, *more, **options):
        answer = f"SELECT 'off' AS {setting}" if statement == f"SHOW {setting}" else statement
        return shown(connection, answer, *more, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", execute)

    with pytest.raises(StateError, match="does not sync"):
        place.open()


def test_a_role_that_does_not_sync_is_put_right(place):
    """`synchronous_commit` of the role or the URL does not count."""
    place.url += "?options=-csynchronous_commit%3Doff"
    with closing(place.open()) as ledger:
        assert ledger.database.query("SHOW synchronous_commit") == [("on",)]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"secret": "another$secret"}, StateError),
        ({"database": "nowhere"}, StateError),
        ({"port": 1}, StateUnavailableError),
    ],
    ids=str,
)
def test_what_keeps_us_out_is_told_without_the_password(monkeypatch, change, error):
    """A wrong password or database is exit 2, a server that is away 75; no message and no repr holds a secret."""
    monkeypatch.setattr("bucket_loader.state.ledger.connecting.FIRST_S", 0.0)
    secret, port = change.get("secret", servers.PASSWORD), change.get("port", servers.postgres())
    url = f"postgresql://postgres:{quote(secret, safe='')}@127.0.0.1:{port}/{change.get('database', 'postgres')}"
    server = Server(url)

    with pytest.raises(error) as refused:
        server.connect("x", writes=True, tries_s=0.0)

    assert refused.value.exit_code == (75 if error is StateUnavailableError else 2)
    for text in (str(refused.value), repr(server)):
        assert secret not in text
        assert quote(secret, safe="") not in text


def test_a_url_that_cannot_be_read_is_not_shown():
    """It may hold a password in the wrong place."""
    with pytest.raises(UsageError) as refused:
        _ = Server("postgresql://user:top%secret@host/db").name
    assert "secret" not in str(refused.value)


def test_without_a_driver_it_is_said_what_to_install(monkeypatch):
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setitem(sys.modules, "psycopg.errors", None)

    with pytest.raises(UsageError) as refused:
        Server("postgresql://host/db").connect("x", writes=True)
    assert "pip install 'bucket-loader[postgres]'" in refused.value.hint


def test_a_user_who_may_make_no_schema_is_told_what_to_grant(place):
    """Exit 2 with the statement; with the schema made for it, the user needs nothing more."""
    with place.other() as ask:
        ask("DROP ROLE IF EXISTS plain")
        ask("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    place.url = f"postgresql://plain:plain@127.0.0.1:{servers.postgres()}/postgres"

    with pytest.raises(StateError) as refused:
        place.open()
    assert f'CREATE SCHEMA "{place.schema}"' in refused.value.hint
    with place.other() as ask:
        ask(f'CREATE SCHEMA "{place.schema}" AUTHORIZATION plain')
    with closing(place.open()) as ledger:
        begin(ledger)
    with place.other() as ask:
        ask(f'DROP SCHEMA "{place.schema}" CASCADE')
        ask("DROP ROLE plain")


# --- looking -------------------------------------------------------------------------------------------------------


def test_looking_takes_nothing_away(place, ledger):
    """A reader sees what is committed beside the owner, and can write nothing."""
    ledger.commit(RUN, [Intent(chunk(0))])
    ledger.commit(RUN, [delivered(chunk(0))])
    with closing(Ledger(look(Server(place.url), place.schema))) as reader:
        assert reader.counts(RUN)["events"].delivered == 10
        with pytest.raises(StateError):
            reader.note(a="b")
    ledger.note(a="b")


def test_an_older_ledger_is_looked_at_and_stays_as_it_is(place, ledger):
    """What it lacks is read as it would be after the upgrade, which is for the next run to do."""
    ledger.commit(RUN, [Intent(chunk(0))])
    counts = ledger.counts(RUN)
    ledger.close()
    with place.other() as ask:
        ask("DROP TABLE loaded_file")
        ask("ALTER TABLE stream DROP COLUMN removed")
        ask("UPDATE meta SET value = '2' WHERE name = 'schema'")
    before = place.content()

    with closing(to_read(look(Server(place.url), place.schema))) as reader:
        assert (reader.counts(RUN), reader.loaded_files()) == (counts, {})
        assert [row.members for row in reader.chunks(RUN, 0, "intent")] == ["0-9"]
    assert place.content() == before


def test_looking_makes_nothing():
    """Where there is no state there is none afterwards."""
    place = OnServer()

    assert look(Server(place.url), place.schema) is None
    with place.other() as ask:
        assert ask(f"SELECT 1 FROM pg_namespace WHERE nspname = '{place.schema}'") == []


def test_a_schema_is_named_after_its_state():
    """As the folder is, and cut with its hash where PostgreSQL would cut it without."""
    long = [schema_of(f"{'x' * 60}{end}@production@front.bucket.co") for end in "ab"]

    assert schema_of("nightly@eu@front.bucket.co") == "bucket_loader@nightly@eu@front.bucket.co"
    assert [len(name) for name in long] == [63, 63]
    assert long[0] != long[1]


def test_a_making_that_was_killed_is_made_again(place):
    """A schema without tables is what a kill leaves, and no reason to refuse."""
    with place.other() as ask:
        ask(f'CREATE SCHEMA "{place.schema}"')
    with closing(Ledger(PostgresDatabase(Server(place.url), place.schema, NO_WAITING))) as ledger:
        begin(ledger)

        assert len(ledger.runs()) == 1
