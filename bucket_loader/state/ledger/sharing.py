"""How several processes share the sending of a run: who has which part, whom nobody hears of any more, and the rate.

A *sender* is a process that delivers parts of a plan. It has one part at a time, and all that it commits it commits as
a live sender: its own row is written by each of its transactions, and one that has ended writes nothing (the fence is
the database's). So who has a part is looked at only where one is taken.

- A part is taken in one transaction, after whoever takes one at the same moment. It must be of the first stream that is
  not over, and nobody who lives may have it. Where records of a stream share ids, all parts before it must be over.
- A part is over when each of its chunks was begun, and none is to be sent but what is held or set aside.
- Who was not heard of for longer than an attempt and a lease can last is given up: its part may be taken.
- Requests a second are shared: nobody takes more than the others have left, so all together never make more. Where
  senders were told different rates, the least holds, also when the one that was told it has gone.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from bucket_loader.state.ledger.database import Statement
from bucket_loader.state.ledger.memory import Memory

END_SHARING: Final = tuple(f"DELETE FROM {table} WHERE run = ?" for table in ("part", "sender", "flag"))

# Who takes a part waits for who is taking one: both write this row. (PostgreSQL lets both write others at once.)
_IN_TURN: Final = "UPDATE run SET aged = aged WHERE run = ?"
_LIVES: Final = "EXISTS (SELECT 1 FROM sender s WHERE s.sender = p.sender AND s.ended IS NULL)"
_BEFORE: Final = """
    EXISTS (SELECT 1 FROM part q WHERE q.run = p.run AND q.ended IS NULL
            AND (q.stream < p.stream OR (q.stream = p.stream AND q.number < p.number AND p.alone = 1)))
"""
_FREE: Final = f"p.ended IS NULL AND NOT {_LIVES} AND NOT {_BEFORE}"
_TAKE: Final = f"""
    UPDATE part SET sender = ?, taken = now_ms() WHERE run = ? AND (stream, number) =
        (SELECT p.stream, p.number FROM part p WHERE p.run = ? AND {_FREE} ORDER BY p.stream, p.number LIMIT 1)
"""
_GIVE_UP: Final = """
    UPDATE sender SET ended = now_ms() WHERE sender IN
        (SELECT s.sender FROM sender s WHERE s.run = ? AND s.ended IS NULL AND now_ms() - heard_ms(s.heard) > ?
         /* not who writes just now */)
"""
_END_PART: Final = """
    UPDATE part SET ended = now_ms() WHERE run = ? AND stream = ? AND number = ? AND sender = ? AND records =
        (SELECT coalesce(sum(c.records), 0) FROM chunk c
         WHERE c.run = ? AND c.stream = ? AND c.first >= ? AND c.first < ? AND c.part = 0)
    AND NOT EXISTS
        (SELECT 1 FROM chunk c WHERE c.run = ? AND c.stream = ? AND c.first >= ? AND c.first < ?
         AND (c.state = 'intent' OR (c.state = 'queued' AND c.aside IS NULL)))
"""
_SHARE_OUT: Final = """
    INSERT INTO part (run, stream, number, first, records, alone) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_OTHERS: Final = (
    "(SELECT coalesce(sum(o.share), 0) FROM sender o WHERE o.run = ? AND o.ended IS NULL AND o.sender <> ?)"
)
_SHARE: Final = f"""
    UPDATE sender SET rate = ?, share =
        CASE WHEN ? < ? - {_OTHERS} THEN ? WHEN ? - {_OTHERS} > 0 THEN ? - {_OTHERS} ELSE 0 END
    WHERE sender = ?
"""


class NewPart(NamedTuple):
    """A part of a plan, as senders share it.

    Attributes:
        number: its place in the stream, from 0.
        first: the least sequence.
        alone: 1 where all parts of its stream before it must be over: they may share ids.
    """

    stream: int
    number: int
    first: int
    records: int
    alone: int

    @property
    def sequences(self) -> range:
        """The sequences of its records."""
        return range(self.first, self.first + self.records)


class SenderRow(NamedTuple):
    """A sender, and the part that it has; times are milliseconds of the server's clock.

    Attributes:
        share: how many requests a second it may make; 0 where nothing limits them, or while it has no part.
        rate: how many it was told that all senders may make together.
    """

    sender: str
    host: str
    pid: int
    joined: int
    heard: int
    ended: int | None
    share: float
    rate: float | None
    stream: int | None
    part: int | None
    taken: int | None


class Want(NamedTuple):
    """The requests a second that a sender wants.

    Attributes:
        share: for itself; where it has more, it must make no more than this already.
        of: how many all of them may make.
        told: what it was told of that itself; None where it was told nothing.
    """

    share: float
    of: float
    told: float | None


class Flag(NamedTuple):
    """What one sender met that ends the run for all of them."""

    kind: str
    message: str
    hint: str


class Sharing(Memory):
    """The part of a ledger that several senders of a run share."""

    def share_out(self, run: str, parts: Sequence[NewPart]) -> None:
        """Let several processes send a run; does nothing where that was done."""
        self._write((_SHARE_OUT, (run, one.stream, one.number, one.first, one.records, one.alone)) for one in parts)

    def is_shared(self, run: str) -> bool:
        """Whether several processes may be sending a run: nobody has ended it since they were let."""
        return bool(self._query("SELECT 1 FROM part WHERE run = ? LIMIT 1", run))

    def take_part(self, run: str, sender: str, silent_ms: int) -> NewPart | None:
        """Take a part that may be sent now; None where there is none.

        Args:
            run: of which run.
            sender: by whom.
            silent_ms: who was not heard of for longer is given up.
        """
        self._write([(_IN_TURN, (run,)), (_GIVE_UP, (run, silent_ms)), (_TAKE, (sender, run, run))])
        return self._part_of(run, sender)

    def _part_of(self, run: str, sender: str) -> NewPart | None:
        rows = self._query(
            "SELECT stream, number, first, records, alone FROM part WHERE run = ? AND sender = ? AND ended IS NULL",
            run, sender,
        )  # fmt: skip
        return next((NewPart(*map(int, row)) for row in rows), None)

    def end_part(self, run: str, sender: str, part: NewPart) -> bool:
        """Say that a part is over; return whether it is: its chunks tell."""
        chunks = (run, part.stream, part.sequences.start, part.sequences.stop)
        self._write([(_END_PART, (run, part.stream, part.number, sender, *chunks, *chunks))])
        return self._part_of(run, sender) is None

    def parts_left(self, run: str) -> int:
        """Return how many parts are not over."""
        ((count,),) = self._query("SELECT count(*) FROM part WHERE run = ? AND ended IS NULL", run)
        return int(count)

    def leave(self, sender: str) -> None:
        """Say that a sender ends: others may take its part, and have its share. It commits nothing more."""
        self._write([("UPDATE sender SET ended = now_ms() WHERE sender = ?", (sender,))])

    def leave_for(self, run: str, host: str, pid: int) -> None:
        """Say that a sender has ended, for one that is known to be dead and cannot."""
        statement = "UPDATE sender SET ended = now_ms() WHERE run = ? AND host = ? AND pid = ? AND ended IS NULL"
        self._write([(statement, (run, host, pid))])

    def least_rate(self, run: str) -> float | None:
        """Return the least of the rates that a run's senders were told; None where none was told any."""
        ((rate,),) = self._query("SELECT min(rate) FROM sender WHERE run = ?", run)
        return None if rate is None else float(rate)

    def beat(self, run: str, sender: str, want: Want, silent_ms: int) -> float:
        """Say that a sender lives, and that it wants some requests a second; return how many it may make.

        Args:
            run: which run it sends.
            sender: who it is.
            want: what it wants.
            silent_ms: who was not heard of for longer is given up.
        """
        others, (share, of, told) = (run, sender), want
        values = (told, share, of, *others, share, of, *others, of, *others, sender)
        self._write([(_IN_TURN, (run,)), (_GIVE_UP, (run, silent_ms)), (_SHARE, values)])
        ((found,),) = self._query("SELECT share FROM sender WHERE sender = ?", sender)
        return float(found)

    def others_with_parts(self, run: str, sender: str) -> int:
        """Return how many other senders have a part of a run."""
        statement = f"SELECT count(*) FROM part p WHERE p.run = ? AND p.ended IS NULL AND p.sender <> ? AND {_LIVES}"
        ((count,),) = self._query(statement, run, sender)
        return int(count)

    def senders(self, run: str) -> list[SenderRow]:
        """Return the senders of a run, oldest first, with the part that each has in hand."""
        rows = self._query(
            "SELECT s.sender, s.host, s.pid, s.joined, s.heard, s.ended, s.share, s.rate, p.stream, p.number, p.taken "
            "FROM sender s LEFT JOIN part p ON p.run = s.run AND p.sender = s.sender AND p.ended IS NULL "
            "WHERE s.run = ? ORDER BY s.joined, s.sender", run,
        )  # fmt: skip
        return [SenderRow(*row) for row in rows]

    def raise_flag(self, run: str, sender: str, flag: Flag) -> None:
        """Say what ends the run for all who send it; the first of each kind is kept."""
        statement = "INSERT INTO flag VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        self._write([(statement, (run, flag.kind, sender, flag.message, flag.hint))])

    def flag(self, run: str) -> Flag | None:
        """Return what ends the run for all who send it; None where nothing does."""
        return next((Flag(*row) for row in self._query(_FLAG, run)), None)


_FLAG: Final = "SELECT kind, message, hint FROM flag WHERE run = ? ORDER BY kind LIMIT 1"


def joined(run: str, sender: str, host: str, pid: int) -> Statement:
    """Return the statement by which a sender comes; what of it the database knows is filled in there.

    It may come again: the server went after it had come, and before it heard of that.
    """
    return _JOIN, (sender, run, host, pid)


_JOIN: Final = """
    INSERT INTO sender (sender, run, host, pid, epoch, backend, token, joined, heard)
    SELECT ?, ?, ?, ?, epoch, backend_now(), ?, now_ms(), now_ms() FROM owner WHERE true
    ON CONFLICT (sender) DO UPDATE SET epoch = excluded.epoch, backend = excluded.backend, token = excluded.token
"""
