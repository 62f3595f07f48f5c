"""One environment: its keys, what it remembers, and what is ordered to go wrong."""

import secrets
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from bucket_loader.emulator.bell import Arrival, Bell
from bucket_loader.emulator.evaluation import features, overrides
from bucket_loader.emulator.evaluation.features import Defined
from bucket_loader.emulator.evaluation.overrides import Definition, Document
from bucket_loader.emulator.evaluation.versions import Versions
from bucket_loader.emulator.faults.meeting import Call
from bucket_loader.emulator.faults.order import Faults
from bucket_loader.emulator.snapshot import Settings, Snapshot
from bucket_loader.emulator.store import attributes, effects, opt_ins, strict
from bucket_loader.emulator.store.durable import DurableJournal
from bucket_loader.emulator.store.journal import Entry, Journal, TemporaryJournal
from bucket_loader.emulator.store.keys import Keys
from bucket_loader.emulator.store.letters import Letters, ReadLetters, letters_of, no_letters
from bucket_loader.emulator.store.requests_log import RequestsLog
from bucket_loader.emulator.store.store import Store
from bucket_loader.emulator.store.wire import TYPES, Item, Mistakes
from bucket_loader.model import EMULATOR_HEADER, Edition

_NO_FEATURES: Final[Document] = {"features": []}


class Start(msgspec.Struct, frozen=True):
    """What every environment of a process begins with, and has again after a reset.

    Attributes:
        features: the body of GET /features.
        faults: the body of PUT /_emulator/faults.
        evaluation: as of when lists are kept and rules are evaluated.
        strict: whether what Bucket would drop or change without an error is refused.
        rejected: where to look for what the loader itself rejected.
    """

    features: dict[str, Any] | None = None
    faults: dict[str, Any] | None = None
    evaluation: Edition = "2026"
    strict: bool = False
    rejected: ReadLetters = no_letters


class Environment:
    """Joins the parts; what the endpoints do, they do through this.

    Attributes:
        name: what it is called in the control API.
        keys: those of the calls that belong to it.
        edition: as of when lists are kept and rules are evaluated.
        is_strict: whether what Bucket would drop or change without an error is refused.
        definitions: of features, as they are evaluated.
        features_body: the same as GET /features answers with it.
        document: the definitions as they were put, decoded; `overrides` stand in front of them, by key.
        identity: what tells what is held here from all that was held before, here or elsewhere.
        signed: the header that says so.
        arrivals: rung when a call was accepted, and at a reset.
        versions: of the definitions.
        streams: the calls that listen to them.
        earlier: the definitions that the last change has replaced.
    """

    def __init__(self, name: str, keys: Keys, start: Start | None = None, data_dir: Path | None = None) -> None:
        self.name: Final = name
        self.keys: Final = keys
        self._start = start or Start()
        self.edition: Final = self._start.evaluation
        self.is_strict: Final = self._start.strict
        self.arrivals: Final = Bell()
        self.versions: Final = Versions()
        self.streams: Final[set[Call]] = set()
        self._read_letters: ReadLetters = self._start.rejected
        self._features_at_start = _NO_FEATURES if self._start.features is None else self._start.features
        self.definitions, self.features_body = features.read(_NO_FEATURES, version_min=0)
        self._set_up()  # first, since it may refuse what it is given
        self._begin(TemporaryJournal() if data_dir is None else DurableJournal(data_dir))
        self._remember()
        self._arm_at_start()  # again: an outage counts its seconds from here, however long remembering took

    def accept(self, request: int, kind: str, body: bytes, items: list[Item]) -> str | None:
        """Keep what was sent, then do it; return the id of the feedback, if it was one."""
        now_ms = time.time() * 1000
        self.journal.append(Entry(request, now_ms, kind, body))
        if self.arrivals:
            self.arrivals.ring(Arrival(request, effects.types(items)))
        return self._apply(items, body, now_ms)

    def objections(self, body: bytes, items: list[Item]) -> list[str]:
        """Return what is refused of records although the API accepts them; nothing, unless this is strict."""
        return strict.objections(body, items, self.store, self.edition) if self.is_strict else []

    def letters(self) -> Letters:
        """Return what the loader itself rejected, as far as it has said so."""
        return letters_of(self._read_letters())

    def put_letters(self, letters: Letters) -> None:
        """Take over what the loader itself rejected, in place of what was known of that."""
        self._read_letters = lambda: letters

    def counts(self) -> dict[str, int]:
        """Return how much there is of everything, by name; calls of the API at the end."""
        return {**effects.counts(self.store), "requests": self.log.requests, "refused": self.log.refused}

    def define(self, document: bytes | dict[str, Any]) -> None:
        """Take new feature definitions over, and lift all overrides.

        Raises:
            UsageError: they are malformed; the old ones stay.
        """
        self._change(document, {})

    def redefine(self, document: Document) -> None:
        """Take changed definitions over; the overrides stay in front of them.

        Raises:
            UsageError: they are malformed; the old ones stay.
        """
        self._change(document, self.overrides)

    def override(self, key: str, body: bytes) -> None:
        """Let a feature be other than it is defined, or be where it is not.

        Raises:
            UsageError: what is asked is malformed.
        """
        self._change(self.document, {**self.overrides, key: overrides.read(body, key, self.document)})

    def opt_in(self, request: int, body: bytes, items: list[Item]) -> None:
        """Keep that somebody opts into a feature, or no longer does; clients learn of it as of a change."""
        self.accept(request, opt_ins.TYPE, body, items)
        self._change(self.document, self.overrides)

    def lift(self, key: str) -> None:
        """Let a feature be as it is defined."""
        self._change(self.document, {name: one for name, one in self.overrides.items() if name != key})

    def arm(self, document: bytes | dict[str, Any]) -> None:
        """Order faults, in place of those before.

        Raises:
            UsageError: the document is malformed; the old faults stay.
        """
        self.faults = Faults.read(document)
        for stream in list(self.streams):
            self.faults.meet_open(stream)

    def settings(self) -> Settings:
        """Return what a snapshot holds beside the calls of the journal."""
        return Settings(
            version=1,
            features=self.document,
            overrides=self.overrides,
            faults=self.faults.order,
            log=self.log.saved(),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Be as a snapshot says, instead of all that is here; its faults begin anew.

        Raises:
            UsageError: its definitions are malformed; nothing has changed.
        """
        overridden = {key: {**one, "key": key} for key, one in snapshot.overrides.items()}
        self._define({**snapshot.features, "flagStateVersion": None}, overridden)
        with self.journal.whole():
            self.journal.clear()
            for entry in snapshot.entries():
                self.journal.append(entry)
            self.log.restore(snapshot.log)
            self._keep_definitions()
            self._take_identity()
        self.store = Store()
        self._replay()
        self.faults = Faults(snapshot.faults)
        self.arrivals.ring()

    def reset(self) -> None:
        """Be as at the very first start: no data, and the features and faults of the command line."""
        with self.journal.whole():
            self.journal.clear()
            self.log.clear()
            self._set_up()
            self._keep_version()
            self._take_identity()
        self.arrivals.ring()

    def forget(self) -> None:
        """Hold nothing any more, and let go of the files; what calls in flight still bring, leaves no trace."""
        self.reset()
        self.close()
        self._begin(TemporaryJournal())

    def end_waiting(self) -> None:
        """Let nobody wait any longer for what is still to come."""
        self.versions.end()
        self.arrivals.ring()

    def close(self) -> None:
        """Let go of the files, and of who listens."""
        self.end_waiting()
        self.journal.close()

    def _begin(self, journal: Journal) -> None:
        self.journal = journal
        self.log = RequestsLog(journal)

    def _set_up(self) -> None:
        self.store = Store()
        self._define(_NO_FEATURES, {})
        self._define(self._features_at_start, {})
        self._arm_at_start()
        self._read_letters = self._start.rejected

    def _change(self, document: bytes | Document, overridden: dict[str, Definition]) -> None:
        self._define(document, overridden)
        with self.journal.whole():
            self._keep_definitions()

    def _keep_definitions(self) -> None:
        self.journal.keep("features", msgspec.json.encode(self.document))
        self.journal.keep("overrides", msgspec.json.encode(self.overrides))
        self._keep_version()

    def _define(self, document: bytes | Document, overridden: dict[str, Definition], version_min: int = 0) -> None:
        """Take definitions over, and tell who waits; every change of them goes this way."""
        least = version_min or max(self.versions.current + 1, int(time.time() * 1000))
        put = shown = features.read(document, version_min=least)
        if overridden:
            in_front = overrides.applied(msgspec.json.decode(put.body), overridden)
            shown = features.read(in_front, version_min=least)
        self.earlier = Defined(self.definitions, self.features_body)
        self.definitions, self.features_body = shown
        self.document = msgspec.json.decode(put.body)
        whole = msgspec.json.decode(shown.body)["features"]
        self.overrides = {one["key"]: one for one in whole if one["key"] in overridden}
        self.versions.rise(self.definitions.flag_state_version or least)

    def _keep_version(self) -> None:
        self.journal.keep("version", b"%d" % self.versions.current)

    def _apply(self, items: list[Item], body: bytes, now_ms: float) -> str | None:
        """Do what was sent; return the id of the feedback, if it was one."""
        if self.edition == "2026":
            attributes.put_in_form(items, body)
        return effects.apply(self.store, items, now_ms)

    def _arm_at_start(self) -> None:
        self.faults = Faults() if self._start.faults is None else Faults.read(self._start.faults)

    def _remember(self) -> None:
        """Do again what the journal holds. Definitions of the command line win over those that were put later."""
        self.versions.current = int(self.journal.kept("version") or 0)
        kept = self.journal.kept("features") if self._start.features is None else None
        if kept is None:
            self._define(self._features_at_start, {})
        else:  # nothing has changed
            overridden = msgspec.json.decode(self.journal.kept("overrides") or b"{}")
            self._define(kept, overridden, self.versions.current)
        self._keep_version()
        self._take_identity(self.journal.kept("identity"))
        self._replay()

    def _take_identity(self, known: bytes | None = None) -> None:
        """Be what was there before; or somebody new, since what was there is gone."""
        self.identity = known or secrets.token_hex(8).encode()
        self.signed = ((EMULATOR_HEADER.encode(), self.identity),)
        self.journal.keep("identity", self.identity)

    def _replay(self) -> None:
        for entry in self.journal.entries():
            self.log.remember(entry.request)
            items = TYPES[entry.type](entry.body)
            if not isinstance(items, Mistakes):  # what was accepted once is accepted again
                self._apply(items, entry.body, entry.at_ms)
