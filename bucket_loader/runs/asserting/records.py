"""Events, feedback and the like: Bucket counts them, so each is looked for among what was delivered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bucket_loader.config import LISTED, Sent
from bucket_loader.model import Kind, contract
from bucket_loader.runs.asserting.bucket import Bucket
from bucket_loader.runs.asserting.findings import Findings, Place
from bucket_loader.runs.asserting.values import MISSING, Pair, differing, same, same_moment, shown

_NOT_FIELDS: Final = {"count", "without", "exactly"}
_ATTRIBUTES: Final = "attributes"


@dataclass
class _Wanted:
    """A record that is looked for.

    Attributes:
        place: where the file says it.
        kind: its kind.
        expected: what it must have.
        found: how many have that.
        nearest: the record that has most of it and not all, and the names of what it has otherwise.
    """

    place: Place
    kind: Kind
    expected: Sent
    found: int = 0
    nearest: tuple[Mapping[str, Any], list[str]] | None = None
    _moments: set[str] = field(init=False)

    def __post_init__(self) -> None:
        rules = contract.rules(self.kind.name).values()
        self._moments = {rule.name for rule in rules if rule.form == "timestamp"}

    def see(self, record: Mapping[str, Any]) -> None:
        """Take note of a record of its kind."""
        wrong = [name for name, _, _ in self._differing(record)]
        if not wrong:
            self.found += 1
        elif self.nearest is None or len(wrong) < len(self.nearest[1]):
            self.nearest = record, wrong

    def _differing(self, record: Mapping[str, Any]) -> Iterator[Pair]:
        for name in sorted(self.expected.model_fields_set - _NOT_FIELDS - {_ATTRIBUTES}):
            value, there = getattr(self.expected, name), record.get(name, MISSING)
            if isinstance(value, dict) and isinstance(there, dict):
                inside = differing(value, there, Sent.model_construct())
                yield from ((f"{name}.{inner}", one, other) for inner, one, other in inside)
            elif not (value is None and there is MISSING) and not self._same(name, value, there):
                yield name, value, there
        expected = getattr(self.expected, _ATTRIBUTES, None) or {}
        yield from differing(expected, record.get(_ATTRIBUTES) or {}, self.expected)

    def _same(self, name: str, value: object, there: object) -> bool:
        return (same_moment if name in self._moments else same)(value, there)

    @property
    def shown(self) -> str:
        """The record as the file has it."""
        return shown(self.expected.model_dump(exclude_unset=True, exclude={"count"}))


def check_records(findings: Findings, bucket: Bucket) -> None:
    """Hold every record that is named against what was delivered; the journal is read once, and only for them."""
    wanted = [
        _Wanted((plural, index), kind, expected)
        for plural, kind in LISTED.items()
        for index, expected in enumerate(getattr(findings.assertions.expected, plural))
    ]
    for line in bucket.journal() if wanted else ():
        for one in wanted:
            if one.kind.wire == line["type"]:
                one.see(line["item"])
    for one in wanted:
        _check(findings, one)


def _check(findings: Findings, wanted: _Wanted) -> None:
    findings.checked += 1
    count = wanted.expected.count
    if wanted.found == count or (count is None and wanted.found):
        return
    nearest = ""
    if wanted.nearest is not None and wanted.found < (1 if count is None else count):
        record, wrong = wanted.nearest
        fields = {name: value for name, value in record.items() if name != "type"}
        nearest = f"{shown(fields)}, which differs in {', '.join(wrong)}"
    expected = "one at least" if count is None else f"{count:,}"
    findings.fail(wanted.place, f"{wanted.kind.name} {wanted.shown}", expected, f"{wanted.found:,}", nearest)
