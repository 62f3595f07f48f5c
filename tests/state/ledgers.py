"""Places where a ledger can lie, and what tests put into it; a proxy that loses what goes through it."""

import socket
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import servers

from bucket_loader.model.chunks import Chunk
from bucket_loader.model.counts import Counts
from bucket_loader.state.ledger import Concluded, Ledger, NewStream
from bucket_loader.state.ledger.connecting import Server, Waiting
from bucket_loader.state.ledger.postgres import PostgresDatabase

RUN = "20260101T000000000Z"
RECORDS = 1_000
NO_WAITING = Waiting(reconnect_s=20.0)


def stream(position=0, name="events", records=RECORDS):
    """Return a planned stream."""
    counts = Counts(read=records + 10, rejected=4, filtered=3, superseded=2, unchanged=1, pending=records)
    return NewStream(position, name, "m", counts)


def begin(ledger, run=RUN, *streams):
    """Make a run exist."""
    ledger.add_run(run, as_of="2026-01-01", interval=None, plan_digest="d", created_at="now",
                   streams=streams or [stream()])  # fmt: skip


def chunk(first, count=10, stream_=0):
    """Return a chunk of the plan."""
    sequences = tuple(range(first, first + count))
    return Chunk(stream_, sequences, tuple(b"%d" % sequence for sequence in sequences))


def delivered(which, attempts=1, ambiguous=0):
    """Return the good end of a chunk."""
    return Concluded(which, "delivered", attempts, ambiguous, 200)


CHUNKS = "SELECT members, state, attempts, ambiguous, status FROM chunk ORDER BY first"


@dataclass
class InFile:
    """A ledger in a file."""

    path: Path

    def open(self):
        """Open it, as its owner."""
        return Ledger(self.path)

    @contextmanager
    def other(self):
        """Look into it over another connection, or change it: what that sees is committed."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            yield lambda statement: connection.execute(statement).fetchall()

    def content(self):
        """Return all that lies there."""
        return b"".join(file.read_bytes() for file in self.path.parent.iterdir())


@dataclass
class OnServer:
    """A ledger on a server, in a schema of its own; `url` may lead there by another way."""

    url: str = field(default_factory=servers.postgres_url)
    schema: str = field(default_factory=lambda: f"bucket_loader@{uuid4().hex}")

    def open(self, waiting=NO_WAITING):
        """Open it, as its owner."""
        return Ledger(self.database(waiting))

    def database(self, waiting=NO_WAITING):
        """Open what it lies in."""
        return PostgresDatabase(Server(self.url), self.schema, waiting)

    @contextmanager
    def other(self):
        """Look into it over another connection, or change it."""
        import psycopg

        with psycopg.connect(servers.postgres_url(), autocommit=True) as connection:
            connection.execute(f'SET search_path TO "{self.schema}"')

            def ask(statement):
                cursor = connection.execute(statement)
                return cursor.fetchall() if cursor.description else []

            yield ask

    def content(self):
        """Return all that lies there, as text."""
        with self.other() as ask:
            tables = ask(f"SELECT tablename FROM pg_tables WHERE schemaname = '{self.schema}'")
            return "".join(str(ask(f"SELECT * FROM {table}")) for (table,) in tables).encode()


def seen(place):
    """Return the chunks as another connection sees them."""
    with place.other() as ask:
        return ask(CHUNKS)


class Proxy:
    """A way to a server that breaks at a word: before what holds it is passed on, or instead of the answer to it."""

    def __init__(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._breaks: tuple[bytes, bool] | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.is_open = True
        self.broken = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def break_at(self, word, *, answered):
        """Break once, when the word comes by: `answered` breaks when the server has done what it asked for."""
        self._breaks = word, answered

    def _accept(self):
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                if not self.is_open:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._pairs.append((client, server))
                for way in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source, target, is_question):
        with suppress(OSError):
            while data := source.recv(65_536):
                if is_question and self._breaks is not None and self._breaks[0] in data:
                    (_, answered), self._breaks = self._breaks, None
                    self.broken += 1
                    if answered:
                        target.sendall(data)
                        self._swallow(target)
                    break
                target.sendall(data)
        self._end(source, target)

    def _swallow(self, server):
        """Wait until the server has answered, and keep the answer; the thread that reads it is beaten to it or not."""
        for client, other in self._pairs:
            if other is server:
                self._end(client, client)
        server.settimeout(1.0)
        with suppress(OSError):
            server.recv(1)

    @staticmethod
    def _end(*ends):
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def cut(self):
        """Break every connection."""
        for pair in self._pairs:
            self._end(*pair)
        self._pairs.clear()

    def close(self):
        """Be gone."""
        self.cut()
        self._listener.close()
