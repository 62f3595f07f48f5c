"""What `--strict` refuses: what Bucket takes, and then drops or changes without an error. A row each.

Source: DOC' (names, lists), S0, S2 and S4 (events of no company), OA and S4 (members), FE (names that meet). The table
in docs/emulator.md has the same rows.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec

from bucket_loader.emulator.evaluation import contexts
from bucket_loader.emulator.store import attributes, wire
from bucket_loader.emulator.store.effects import KNOWN_RECORDS
from bucket_loader.emulator.store.store import Store, id_text
from bucket_loader.model import Edition, contract, javascript


@dataclass
class Record:
    """One record of a body, and what is known when its turn comes.

    Attributes:
        sent: all its members, as they were sent.
        item: what the API reads of them.
        store: what was there before the body.
        placed: the users whom earlier records of the body put into a company.
    """

    sent: dict[str, Any]
    item: Any
    store: Store
    placed: set[str] = field(default_factory=set)

    @property
    def attributes(self) -> dict[str, Any]:
        """Its attributes, where it has some."""
        return self.sent.get("attributes") or {}


Find: TypeAlias = Callable[[Record], Iterable[str]]


@dataclass(frozen=True)
class Rule:
    """One thing that is refused.

    Attributes:
        what: it, in words.
        becomes: what Bucket does with it.
        find: yields what a record has of it, each with its place.
        is_new: whether it is so only since autumn 2026.
    """

    what: str
    becomes: str
    find: Find
    is_new: bool = False


# --- attributes ----------------------------------------------------------------------------------------------------


def _named(value: Any, place: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401  # any JSON
    """Yield the place and the name of each attribute, of those inside objects and lists too."""
    if isinstance(value, list):
        for inner in value:
            yield from _named(inner, place)
    elif isinstance(value, dict):
        for name, inner in value.items():
            there = f"{place}.{name}".replace("\0", "")
            yield there, name
            yield from _named(inner, there)


def _unsafe_names(record: Record) -> Iterator[str]:
    for place, name in _named(record.attributes, "attributes"):
        if not attributes.UNSAFE_NAMES.isdisjoint(name.replace("\0", "").split(".")):
            yield f"{place}: Bucket drops attributes of this name"


def _nul_in_names(record: Record) -> Iterator[str]:
    for place, name in _named(record.attributes, "attributes"):
        if "\0" in name:
            yield f"{place}: Bucket takes NUL out of the name"


def _lists(members: dict[str, Any], place: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield the lists that are attributes, also inside objects."""
    for name, value in members.items():
        if isinstance(value, list):
            yield f"{place}.{name}", value
        elif isinstance(value, dict):
            yield from _lists(value, f"{place}.{name}")


def _long_lists(record: Record) -> Iterator[str]:
    for place, items in _lists(record.attributes, "attributes"):
        if attributes.is_too_long(javascript.list_texts(items)):
            most = f"{attributes.ITEMS_MAX} items or {attributes.LIST_CHARACTERS_MAX} characters"
            yield f"{place}: Bucket stores {attributes.TRUNCATED} for a list of more than {most}"


def _changed_items(record: Record) -> Iterator[str]:
    for place, items in _lists(record.attributes, "attributes"):
        if any(item is None for item in items):
            yield f"{place}: Bucket stores the empty text for null in a list"
        if any(isinstance(item, dict | list) for item in items):
            yield f"{place}: Bucket stores JSON text for an object or a list in a list"


def _names(members: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of each value that rules can ask for."""
    for name, value in members.items():
        if isinstance(value, dict) and value:
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _meeting(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _meeting_names(record: Record) -> Iterator[str]:
    for name in _meeting(_names(record.attributes)):
        yield f"attributes.{name}: Bucket uses the later one of two values of one name"


# --- records -------------------------------------------------------------------------------------------------------

_MEMBERS: Final = {record.shape: {"type", *record.shape.__struct_fields__} for record in KNOWN_RECORDS}
_PLACING: Final = (contract.AcceptedCompany, contract.AcceptedEvent)
_OF_CONTEXT: Final = frozenset(contract.AcceptedContext.__struct_fields__)


def _unknown_members(record: Record) -> Iterator[str]:
    known = _MEMBERS.get(type(record.item))
    if known is None:  # of clients alone; no document says what they hold
        return
    for name in record.sent:
        if name not in known:
            yield f"{name}: Bucket ignores a member of this name"
    for name in (record.sent.get("context") or {}) if "context" in known else ():
        if name not in _OF_CONTEXT:
            yield f"context.{name}: Bucket ignores a member of this name"


def _of_no_company(record: Record) -> Iterator[str]:
    item = record.item
    if not isinstance(item, contract.AcceptedEvent) or item.companyId is not None:
        return
    user = record.store.users.get(id_text(item.userId))
    if (user is None or user.default_company is None) and id_text(item.userId) not in record.placed:
        yield "companyId: Bucket counts the event for no company, since its user is in none"


RULES: Final = (
    Rule("an attribute called `__proto__`, `constructor` or `prototype`, also in a dotted name or inside an object",
         "drops it", _unsafe_names, is_new=True),
    Rule("NUL in the name of an attribute", "takes it out", _nul_in_names, is_new=True),
    Rule("a list of more than 1,000 items or 2,000 characters", "stores `[TRUNCATED]`", _long_lists, is_new=True),
    Rule("null, an object or a list inside a list", "stores the empty text, or JSON text", _changed_items, is_new=True),
    Rule("two attributes that meet in one dotted name (`a.b`, and `b` inside `a`)", "uses the later one",
         _meeting_names),
    Rule("a member that the record does not have (`companyID`), also in `context`", "ignores it", _unknown_members),
    Rule("an event without `companyId` whose user is in no company", "counts it for no company", _of_no_company),
)  # fmt: skip


def objections(sent: bytes, items: Sequence[Any], store: Store, edition: Edition) -> list[str]:
    """Return what is refused of the records of a body that the API accepts, each with its place."""
    records = msgspec.json.decode(sent)
    is_list = isinstance(records, list)
    rules = [rule for rule in RULES if edition == "2026" or not rule.is_new]
    placed: set[str] = set()
    found = []
    for index, (members, item) in enumerate(zip(records if is_list else [records], items, strict=True)):
        record = Record(members, item, store, placed)
        place = f"[{index}]." if is_list else ""
        found += [f"{place}{objection}" for rule in rules for objection in rule.find(record)]
        if isinstance(item, _PLACING) and item.companyId is not None and item.userId is not None:
            placed.add(id_text(item.userId))
    return found


def context_objections(query: Sequence[tuple[str, str]]) -> list[str]:
    """Return what is refused of the query of an evaluation that the API accepts: two values of one name."""
    asked = [name for name, _ in query if name == "key" or name.startswith("context.")]
    whole = dict(query).get(contexts.CONTEXT_JSON)
    names = [] if whole is None else _names(msgspec.json.decode(wire.with_whole_texts(whole.encode())))
    meeting = [*_meeting(asked), *(f"{contexts.CONTEXT_JSON}.{name}" for name in _meeting(names))]
    return [f"{name}: Bucket uses the later one of two values of one name" for name in meeting]
