"""Who has a feature: by name, and how many.

All features are counted at once, in looks that go on where the last one ended, and what was counted is kept until
something changes. A rule depends on the few fields that it asks for, so each combination of their values is evaluated
once; the evaluation is that of every call.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import msgspec

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.evaluation import evaluated
from bucket_loader.emulator.evaluation.features import Feature
from bucket_loader.emulator.inspector.pace import Pace
from bucket_loader.emulator.inspector.searching import name
from bucket_loader.emulator.inspector.views import Counted, Counts, Holder, Holders, Kind
from bucket_loader.emulator.store.store import Company, Seen, User
from bucket_loader.model import (
    COMPANY,
    USER,
    Context,
    FieldValue,
    field_of,
    flatten,
    fulfils,
    in_words,
    inner_filters,
    javascript,
)

_HOLDERS_TOGETHER: Final = 50
_COUNTED_TOGETHER: Final = 1000
_REMEMBERED_MAX: Final = 100_000  # combinations of values, for each feature
_ALIKE_MIN: Final = 0.5  # of so many rows each combination may be another; ids are no combination that comes again
_DAYS: Final = frozenset({"AFTER", "BEFORE"})
_STALE_AFTER_MS: Final = 60_000  # where a rule asks how long ago something was
_IDS: Final = frozenset({f"{COMPANY.name}.id", f"{USER.name}.id"})
_NESTED: Final = (list, dict)
_NOTHING: Final = -1  # the last of a row
# What a row holds of some fields, in their order; None where a field is absent.
Values: TypeAlias = tuple[FieldValue | None, ...]
_unpack = msgspec.json.Decoder(dict[str, Any]).decode


async def holders(environment: Environment, feature: Feature, kind: Kind, after: int, limit: int) -> Holders:
    """Hold a feature against the companies, or against the users, each in its default company.

    Args:
        environment: where.
        feature: what they may have.
        kind: which of the two.
        after: how many were looked at already.
        limit: the most to name before the look ends; 0 to count only.
    """
    pace, store, edition, now_ms = Pace(), environment.store, environment.edition, time.time() * 1000
    all_of: Mapping[str, User | Company] = store.users if kind == USER.name else store.companies
    place, have, items = after, 0, list[Holder]()
    total = len(all_of)
    while place < total and not (limit and len(items) == limit) and await pace.goes_on():
        for seen in list(islice(all_of.values(), place, place + _HOLDERS_TOGETHER)):
            place += 1
            context = evaluated.context_of(seen)
            fields = {**evaluated.remembered(store, context, edition), **context}
            answer = evaluated.entry(feature, fields, now_ms, edition, store.opt_ins)
            if answer["isEnabled"]:
                have += 1
                if limit:
                    items.append(Holder(seen.id, name(seen), answer.get("config", {}).get("key")))
                    if len(items) == limit:
                        break
    return Holders(
        next=str(place),
        is_complete=place >= total,
        seen=min(place, total),
        total=total,
        items=items,
        checked=max(0, place - after),
        have=have,
    )


# --- how many ------------------------------------------------------------------------------------------------------


async def counts(environment: Environment) -> Counts:
    """Count on, and return how many companies and users have each feature: the last whole count, if there is one."""
    counting = _COUNTINGS.setdefault(environment, _Counting())
    await counting.go_on(environment)
    shown = counting.whole or counting.running
    assert shown is not None  # noqa: S101  # it has just been going on
    return shown.view(is_current=counting.is_current(environment))


class _Counting:
    """The last whole count of an environment, and the one that is under way."""

    def __init__(self) -> None:
        self.whole: _Count | None = None
        self.running: _Count | None = None

    async def go_on(self, environment: Environment) -> None:
        """Count for a moment, unless what is known is still so."""
        if self.is_current(environment):
            return
        if self.running is None or self.running.definitions is not environment.definitions:
            self.running, self.whole = _Count(environment), self._of(environment)
        running = self.running
        await running.go_on(Pace())
        if running.is_whole and self.running is running:
            self.running, self.whole = None, running

    def is_current(self, environment: Environment) -> bool:
        """Whether nothing has changed since the last whole count began."""
        return self.whole is not None and self.whole.state == _state(environment)

    def _of(self, environment: Environment) -> "_Count | None":
        """Return the last whole count while it is one of the same features."""
        is_same = self.whole is not None and self.whole.definitions is environment.definitions
        return self.whole if is_same else None


_COUNTINGS: Final = WeakKeyDictionary[Environment, _Counting]()


class _State(NamedTuple):
    """What a count depends on."""

    store: int
    accepted: int
    version: int
    minute: int


def _state(environment: Environment) -> _State:
    asks_for_days = any(_asks_for_days(node) for one in environment.definitions.features for node in one.filters)
    minute = int(time.time() * 1000 / _STALE_AFTER_MS) if asks_for_days else 0
    return _State(id(environment.store), environment.journal.end(), environment.versions.current, minute)


def _asks_for_days(node: Mapping[str, Any]) -> bool:
    return node.get("operator") in _DAYS or any(map(_asks_for_days, inner_filters(node)))


class _Count:
    """One count of all features, over those who were there when it began."""

    def __init__(self, environment: Environment) -> None:
        self.state, self.definitions = _state(environment), environment.definitions
        store = environment.store
        asked = [_asked(feature.filters) for feature in self.definitions.features]
        self._reader = _Reader(environment, sorted(set().union(*asked)))
        self._tallies = [_Tally(feature, environment, self._reader.fields) for feature in self.definitions.features]
        self._left: dict[str, Sequence[Seen]] = {
            COMPANY.name: list(store.companies.values()),
            USER.name: list(store.users.values()),
        }
        self._seen = dict.fromkeys(self._left, 0)

    @property
    def is_whole(self) -> bool:
        """Whether everybody was counted."""
        return all(self._seen[kind] == len(left) for kind, left in self._left.items())

    async def go_on(self, pace: Pace) -> None:
        """Count until the time of a look is over, or everybody was counted."""
        for kind, left in self._left.items():
            while (seen := self._seen[kind]) < len(left):
                some = left[seen : seen + _COUNTED_TOGETHER]
                self._seen[kind] += len(some)
                contexts = list(map(self._reader.context, some))
                rows = [tuple(map(context.get, self._reader.fields)) for context in contexts]
                for tally in self._tallies:
                    tally.have[kind] += tally.count(rows, contexts)
                if not await pace.goes_on():
                    return

    def view(self, *, is_current: bool) -> Counts:
        """Show it."""
        return Counts(
            is_complete=self.is_whole,
            is_current=is_current,
            features=[
                Counted(tally.feature.key, tally.words, tally.have[COMPANY.name], tally.have[USER.name])
                for tally in self._tallies
            ],
            companies=self._seen[COMPANY.name],
            users=self._seen[USER.name],
        )


class _Tally:
    """How many have one feature."""

    def __init__(self, feature: Feature, environment: Environment, fields: Sequence[str]) -> None:
        self.feature = feature
        self.words = [in_words(node) for node in feature.filters]
        self.have = {COMPANY.name: 0, USER.name: 0}
        self._filters, self._edition, self._now_ms = feature.filters, environment.edition, time.time() * 1000
        self._opt_ins, self._can_opt_in = environment.store.opt_ins, feature.opt_in_enabled is True
        asked = _asked(feature.filters) | (_IDS if self._can_opt_in else frozenset())
        # One more, since of a single one `itemgetter` makes no tuple.
        self._values = itemgetter(*(fields.index(field) for field in asked), _NOTHING, _NOTHING)
        self._known: dict[Values, bool] | None = {}

    def count(self, rows: Sequence[Values], contexts: Sequence[Context]) -> int:
        """Return how many of these have the feature; those who are alike in what it asks are evaluated once."""
        if self._known is not None:
            known, numbers = self._known, Counter(map(self._values, rows))
            if len(numbers) <= len(rows) * _ALIKE_MIN and len(known) < _REMEMBERED_MAX:
                if any(values not in known for values in numbers):
                    known |= {
                        values: self._is_on(one)
                        for values, one in zip(map(self._values, rows), contexts, strict=True)
                        if values not in known
                    }
                return sum(number for values, number in numbers.items() if known[values])
            self._known = None
        return sum(map(self._is_on, contexts))

    def _is_on(self, context: Context) -> bool:
        is_fulfilled = fulfils(self._filters, context, self._now_ms, self._edition)
        return is_fulfilled or (self._can_opt_in and evaluated.is_opted_in(self.feature, context, self._opt_ins))


def _asked(nodes: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the fields that filters ask for, and those in them."""
    fields = {field for node in nodes if (field := field_of(node)) is not None}
    return fields.union(*(_asked(inner_filters(node)) for node in nodes))


class _Reader:
    """Reads what rules ask of users and companies, and no more: most of their attributes are asked by no rule.

    Attributes:
        fields: whose values make a row; the last is none, and stands for nothing.
    """

    def __init__(self, environment: Environment, fields: Sequence[str]) -> None:
        self.fields = [*sorted({*fields, *_IDS}), ""]
        self._store, self._edition = environment.store, environment.edition
        self._roots = {kind: _roots(kind, fields) for kind in (USER.name, COMPANY.name)}
        self._of_companies: dict[str | None, Context] = {None: {}}

    def context(self, seen: Seen) -> Context:
        """Return the fields of a user with its default company, or of a company."""
        if isinstance(seen, User):
            return {**self._read(USER.name, seen), **self._company(seen.default_company)}
        return self._read(COMPANY.name, seen)

    def _company(self, identifier: str | None) -> Context:
        known = self._of_companies.get(identifier)
        if known is None:
            assert identifier is not None  # noqa: S101  # that one is known
            company = self._store.companies.get(identifier) or Company(identifier)
            known = self._of_companies[identifier] = self._read(COMPANY.name, company)
        return known

    def _read(self, kind: Kind, seen: Seen) -> Context:
        roots, fields = self._roots[kind], dict[str, FieldValue]()
        for attribute, value in _unpack(seen.attributes).items() if roots else ():
            field = roots.get(attribute)
            if field is None:
                continue
            if type(value) is str:  # as most are
                fields[field] = value
            elif isinstance(value, _NESTED):
                fields |= flatten({field: value}, self._edition)
            else:
                fields[field] = javascript.text(value)
        fields[f"{kind}.id"] = seen.id
        return fields


def _roots(kind: Kind, fields: Iterable[str]) -> dict[str, str]:
    """Return which attributes hold fields, with the names of these: `a.b` may be one, and so may `b` in `a`."""
    parts = [field.split(".")[1:] for field in fields if field.startswith(f"{kind}.")]
    names = {".".join(some[:end]) for some in parts for end in range(1, len(some) + 1)}
    return {name: f"{kind}.{name}" for name in names}
