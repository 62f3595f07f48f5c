"""What was sent, held against what a test expects: whether it is that, and where it differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final, TypedDict


class Wanted(TypedDict, total=False):
    """What a record should say; what is left out may be anything.

    The first of these words that is given says what kind of record is meant: an event, feedback, a company or a user.

    Attributes:
        event: the name of an event.
        feedback: the key of the flag that feedback is about, or its id.
        company: the id of a company.
        user: the id of a user.
        attributes: some of the attributes; others may be there too.
        score: of feedback.
        comment: of feedback.
    """

    event: str
    feedback: str
    company: str | int
    user: str | int
    attributes: Mapping[str, Any]
    score: float
    comment: str


# For each kind of record, by its `type`: where the API has what a word of `Wanted` means. The kind is its first word.
_ATTRIBUTES: Final = {"attributes": ("attributes",)}
_WHO: Final = {"user": ("userId",), "company": ("companyId",)}
_FIELDS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "event": {"event": ("event",), **_WHO, **_ATTRIBUTES},
    "feedback": {"feedback": ("key", "featureId"), **_WHO, "score": ("score",), "comment": ("comment",)},
    "company": {"company": ("companyId",), "user": ("userId",), **_ATTRIBUTES},
    "user": {"user": ("userId",), **_ATTRIBUTES},
}
_ABSENT: Final = object()


@dataclass(frozen=True)
class Record:
    """One record that the API accepted.

    Attributes:
        type: `event`, `feedback`, `company`, `user`, or another `type` of the API.
        item: the record, as it was sent.
        request: the number of the request that brought it.
    """

    type: str
    item: Mapping[str, Any]
    request: int

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes that were sent."""
        found: Mapping[str, Any] = self.item.get("attributes") or {}
        return found

    def differences(self, wanted: Wanted) -> list[str]:
        """Return where this is not what is wanted, a line each."""
        return [
            f"{name}: {'absent' if sent is _ABSENT else repr(sent)}, expected {value!r}"
            for name, value, sent in self._compared(wanted)
            if not _is_same(name, value, sent)
        ]

    def closeness(self, wanted: Wanted) -> float:
        """Return how near this is to what is wanted: 1 for each part that is so, less for a text that is like it."""
        return sum(_likeness(name, value, sent) for name, value, sent in self._compared(wanted))

    def _compared(self, wanted: Wanted) -> list[tuple[str, Any, Any]]:
        fields = _FIELDS[type_of(wanted)]
        parts: list[tuple[str, Any, Any]] = []
        for word, value in wanted.items():
            if word == "attributes":
                some: Mapping[str, Any] = wanted["attributes"]
                parts += [(f"attributes.{name}", one, self.attributes.get(name, _ABSENT)) for name, one in some.items()]
            else:
                parts.append((word, value, next((self.item[at] for at in fields[word] if at in self.item), _ABSENT)))
        return parts


def type_of(wanted: Wanted) -> str:
    """Return the kind of record that is meant.

    Raises:
        TypeError: none is, or a word says what records of this kind do not have.
    """
    kind = next((kind for kind in _FIELDS if kind in wanted), None)
    if kind is None:
        raise TypeError(f"say what is expected: {', '.join(_FIELDS)}")
    strange = [word for word in wanted if word not in _FIELDS[kind]]
    if strange:
        raise TypeError(f"a record of type {kind} has no {', '.join(strange)}; it has {', '.join(_FIELDS[kind])}")
    return kind


def described(wanted: Wanted) -> str:
    """Return what is wanted, as a test writes it."""
    return ", ".join(f"{word}={value!r}" for word, value in wanted.items())


def nearest(records: Sequence[Record], wanted: Wanted) -> str:
    """Return the record that is nearest to what is wanted, and how it differs; in lines."""
    kind = type_of(wanted)
    if not records:
        return f"no record of type {kind} has arrived"
    record = max(records, key=lambda one: one.closeness(wanted))
    lines = [f"the nearest of {len(records)} of type {kind} came with request {record.request}, and differs:"]
    return "\n".join([*lines, *(f"    {line}" for line in record.differences(wanted))])


def _is_same(name: str, wanted: Any, sent: Any) -> bool:  # noqa: ANN401  # JSON, or what compares with it
    if sent is _ABSENT:
        return False
    if name in _WHO:  # clients send ids as text or as numbers
        return bool(wanted == sent) or str(wanted) == str(sent)
    if isinstance(wanted, int | float) and isinstance(wanted, bool) != isinstance(sent, bool):
        return False  # to Python, 1 is True
    return bool(wanted == sent)


def _likeness(name: str, wanted: Any, sent: Any) -> float:  # noqa: ANN401  # JSON, or what compares with it
    if _is_same(name, wanted, sent):
        return 1
    both = isinstance(wanted, str) and isinstance(sent, str)
    return 0.9 * SequenceMatcher(None, wanted.lower(), sent.lower()).ratio() if both else 0
