"""Opening a state: where it lies, that only one run uses it at a time, and whose it is."""

import contextlib
import hashlib
import io
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bucket_loader.config import Pipeline
from bucket_loader.model import KeyRefusedError, StateError, UsageError, make_folder, sync
from bucket_loader.state.file_system import require_local
from bucket_loader.state.identity import NOTES, Identity, Notes, notes_of
from bucket_loader.state.layout import StateLayout
from bucket_loader.state.ledger import Ledger
from bucket_loader.state.ledger.connecting import Server, Waiting, schema_of
from bucket_loader.state.ledger.looking import look_at_file, to_read
from bucket_loader.state.ledger.postgres import PostgresDatabase, look
from bucket_loader.state.ledger.seats import SenderSeat
from bucket_loader.state.location import StatePlace
from bucket_loader.state.lock import Lock
from bucket_loader.state.state import State
from bucket_loader.state.store import Files, stored

FOLDER: Final = ".bucket_loader"
_MARK: Final = "belongs-to"  # what a store holds of the ledger that names its files


def layout_of(identity: Identity, place: StatePlace) -> StateLayout:
    """Return where a state lies.

    Raises:
        StateError: what lies there is another pipeline's.
    """
    name = identity.folder_there(lambda name: _noted(place, StateLayout(place.folder / name)))
    return StateLayout(place.folder / name)


def _noted(place: StatePlace, layout: StateLayout) -> Notes | None:
    """Return what a state notes of whose it is; None when there is no such state."""
    if place.ledger is not None and (database := look(Server(place.ledger), schema_of(layout.root.name))) is not None:
        with contextlib.closing(database), contextlib.closing(to_read(database)) as ledger:
            return notes_of(ledger)
    if place.ledger is None and (found := look_at_file(layout.ledger)) is not None:
        with contextlib.closing(found):
            return notes_of(found)
    is_there = any(path.exists() for path in (layout.ledger, layout.snapshots, layout.plans))
    return dict.fromkeys(NOTES) if is_there else None  # its ledger is lost: opening it says so


@dataclass(frozen=True)
class Wanted:
    """What is asked of a state when it is opened.

    Attributes:
        expect: whether there has to be one.
        key_rotated: whether another key of the same environment is right.
        check_key: whether the pipeline's key is real.
        first: done before the key is held against the state; it may find that nothing is remembered any more.
        waiting: how long another copy, or a server that is away, is waited for.
    """

    expect: bool = False
    key_rotated: bool = False
    check_key: bool = True
    first: Callable[[State], None] = lambda _state: None
    waiting: Waiting = field(default_factory=Waiting)


def open_state(pipeline: Pipeline, place: StatePlace, wanted: Wanted | None = None) -> State:
    """Open and lock a pipeline's state, and hold it against the key.

    Raises:
        StateError: one is expected and there is none; the key is another one; the ledger is damaged; it would lie
            where nothing keeps two runs apart.
        StateLockedError: another copy is running on it.
    """
    wanted, identity = wanted or Wanted(), Identity.of(pipeline)
    layout = layout_of(identity, place)
    root = layout.root
    if wanted.expect and place.ledger is None and not layout.ledger.exists():
        raise _not_there(str(root))
    if place.ledger is None:
        require_local(root)
    try:
        make_folder(root)
        lock = Lock(layout.lock, is_needed=place.ledger is None)
    except OSError as error:
        raise StateError(
            f"cannot write the state at {root}: {error.strerror}", hint="give a writable folder with --state"
        ) from None
    with contextlib.ExitStack() as undo:
        undo.callback(lock.close)
        lock.take(wanted.waiting)
        for folder in (root.parent, root, *(path for path in root.iterdir() if path.is_dir())):
            sync(folder)  # names that a death may have left unsynced
        ledger = Ledger(layout.ledger) if place.ledger is None else _ledger_of(place.ledger, layout, wanted)
        undo.callback(ledger.close)
        identity.claim(ledger, str(root) if place.ledger is None else ledger.database.name)
        state = State(layout, ledger, lock, _files(place, root))
        if place.ledger is not None:
            _require_same_store(state, place)
        if wanted.check_key:
            _begin(state, pipeline, wanted)
        undo.pop_all()
    return state


def open_beside(pipeline: Pipeline, place: StatePlace, run: str, wanted: Wanted) -> tuple[State, str]:
    """Open a state beside others, as one of the senders of a run that it has; return it, and the sender's name.

    Raises:
        StateError: it is another pipeline's or key's, or its ledger is damaged.
        StateLockedError: somebody has it alone.
        UsageError: its ledger lies where one process has it at a time.
    """
    if place.ledger is None:
        raise one_process_alone()
    identity = Identity.of(pipeline)
    layout = layout_of(identity, place)
    with contextlib.ExitStack() as undo:
        seat = SenderSeat(run)
        database = PostgresDatabase(Server(place.ledger), schema_of(layout.root.name), wanted.waiting, seat)
        undo.callback(database.close)
        ledger = Ledger(database)
        identity.require_mine(notes_of(ledger), database.name)
        make_folder(layout.root)
        state = State(layout, ledger, io.BytesIO(), _files(place, layout.root))
        _require_same_store(state, place)
        _check_key(ledger, pipeline, key_rotated=wanted.key_rotated)
        undo.pop_all()
    return state, seat.sender


def one_process_alone() -> UsageError:
    """Return what to raise where several processes are to share a ledger that one has alone."""
    return UsageError(
        "several senders share a run by its ledger, and this one lies in a file, which one process has at a time",
        hint="give a ledger on PostgreSQL: --state postgresql://...; or leave it to one sender",
    )


def _begin(state: State, pipeline: Pipeline, wanted: Wanted) -> None:
    """Do what comes first, and hold the state against the key.

    A key that is refused there is another environment's, most of the time: then the state says so.
    """
    try:
        wanted.first(state)
    except KeyRefusedError:
        _check_key(state.ledger, pipeline, key_rotated=wanted.key_rotated)
        raise
    _check_key(state.ledger, pipeline, key_rotated=wanted.key_rotated)


def _not_there(where: str) -> StateError:
    return StateError(
        f"there is no state at {where}, and --expect-state asks for one",
        hint="give the right --state, or leave --expect-state out on the very first run",
    )


def _ledger_of(url: str, layout: StateLayout, wanted: Wanted) -> Ledger:
    """Open a ledger on PostgreSQL, and lock it."""
    server, schema = Server(url), schema_of(layout.root.name)
    if wanted.expect and (there := look(server, schema)) is None:
        raise _not_there(f"{server.name}, schema {schema!r}")
    if wanted.expect and there is not None:
        there.close()
    with contextlib.ExitStack() as undo:
        database = PostgresDatabase(server, schema, wanted.waiting)
        undo.callback(database.close)
        ledger = Ledger(database)
        _require_same_beginning(ledger, layout)
        undo.pop_all()
    return ledger


def _require_same_beginning(ledger: Ledger, layout: StateLayout) -> None:
    """Refuse a new ledger beside the memory of earlier runs."""
    kept = layout.ledger.exists() or layout.snapshots.exists()
    if kept and not ledger.has_runs():
        raise StateError(
            f"{layout.root} holds the memory of earlier runs, and the ledger on PostgreSQL is new: it knows nothing of "
            "them",
            hint="go on with the --state that they had, or restore the database; where everything may be sent again, "
            "move the folder away first",
        )


def _files(place: StatePlace, root: Path) -> Files:
    return Files(root) if place.store is None else stored(root, place.store, root.name)


def _require_same_store(state: State, place: StatePlace) -> None:
    """Refuse another store than the one that holds the ledger's files: all of them would count as lost."""
    known = state.ledger.meta("store")
    if place.store is None:
        if known is not None:
            raise StateError(
                "the files of this state lie in a store, and --state names none",
                hint="give its s3://, gs:// or az:// place as well, as the runs before did",
            )
        return
    if known is None:
        folders = (state.layout.plans, state.layout.snapshots)
        if state.ledger.has_runs() or any(state.files.listed(state.layout.name(folder)) for folder in folders):
            raise StateError(
                f"{state.files.url('')} and the ledger do not belong together",
                hint="is this the right --state? A state that began without a store goes on without one; a ledger "
                "that was lost has to be restored",
            )
        mark = secrets.token_hex(16)  # a death in between leaves one that the next overwrites
        state.files.add(f"{_MARK}/ledger", mark.encode())
        state.ledger.note(store=mark)
    elif known != _mark_of(state.files):
        raise StateError(
            f"{state.files.url('')} is not the store that holds the files of this ledger",
            hint="give the --state that the runs before had, or restore the store; nothing is sent without its files",
        )


def _mark_of(files: Files) -> str:
    return b"".join(files.read(*(one.name for one in files.listed(_MARK)))).decode("ascii", "replace")


def look_at_state(pipeline: Pipeline, place: StatePlace) -> State | None:
    """Open a state to read in it, beside a run that may be using it; None when there is none."""
    identity = Identity.of(pipeline)
    layout = layout_of(identity, place)
    root = layout.root
    with contextlib.ExitStack() as undo:
        if place.ledger is not None:
            database = look(Server(place.ledger), schema_of(root.name))
            if database is None:
                return None
            undo.callback(database.close)
            state = State(layout, to_read(database), io.BytesIO(), _files(place, root))
        elif (ledger := look_at_file(layout.ledger)) is not None:
            state = State(layout, ledger, io.BytesIO())
            undo.callback(state.close)
        else:
            return None
        identity.require_mine(notes_of(state.ledger), str(root))
        undo.pop_all()
    return state


def _check_key(ledger: Ledger, pipeline: Pipeline, *, key_rotated: bool) -> None:
    """Refuse another key than the state's; remember one that it does not know yet."""
    if not _knows_key(ledger, pipeline):
        require_key(ledger, pipeline, key_rotated=key_rotated)
        salt = ledger.meta("key_salt") or secrets.token_hex(16)
        fingerprint = fingerprint_of(pipeline.destination.key.get_secret_value(), salt)
        ledger.note(key_salt=salt, key_fingerprint=fingerprint, pipeline=pipeline.name)


def require_key(ledger: Ledger, pipeline: Pipeline, *, key_rotated: bool) -> None:
    """Refuse another key than the state's: another key is another Bucket environment, most of the time.

    A key that never delivered anything may have been a mistake, so it binds nothing.

    Raises:
        StateError: it is another one.
    """
    has_key = ledger.meta("key_fingerprint") is not None
    if has_key and not key_rotated and not _knows_key(ledger, pipeline) and ledger.ever_delivered():
        raise StateError(
            "this state belongs to another key",
            hint="is this the right environment? If the key of the same one was renewed, run once with --key-rotated",
        )


def _knows_key(ledger: Ledger, pipeline: Pipeline) -> bool:
    salt = ledger.meta("key_salt") or ""
    return fingerprint_of(pipeline.destination.key.get_secret_value(), salt) == ledger.meta("key_fingerprint")


def fingerprint_of(key: str, salt: str) -> str:
    """Return what a key is known again by: slow to make, for who reads a ledger and guesses keys (15 ms)."""
    return hashlib.scrypt(key.encode(), salt=salt.encode(), n=2**12, r=8, p=1, dklen=16).hex()
