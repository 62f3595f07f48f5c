"""Users and companies: each is asked for by its id, as Bucket holds it after the load."""

from collections.abc import Mapping
from typing import Any, Final

from bucket_loader.config import ABSENT, Seen
from bucket_loader.model import KINDS, Kind, nearest
from bucket_loader.runs.asserting.bucket import Bucket
from bucket_loader.runs.asserting.findings import Findings, Place
from bucket_loader.runs.asserting.values import MISSING, differing, same, same_moment, shown

SUBJECTS: Final = tuple(kind for kind in KINDS.values() if kind.ordered)
_NOT_MEMBERS: Final = {"attributes", "without", "exactly"}
_MOMENTS: Final = {"firstSeen", "lastSeen"}


def check_subjects(findings: Findings, bucket: Bucket) -> None:
    """Hold every user and company that is named against what is there."""
    for kind in SUBJECTS:
        missing: list[str] = []
        for identifier, expected in getattr(findings.assertions.expected, kind.plural).items():
            found = bucket.one(kind.plural, identifier)
            findings.checked += 1
            if found is None and expected != ABSENT:
                missing.append(identifier)
            elif found is not None:
                _check(findings, ((kind.plural, identifier), f"{kind.name} {identifier}"), expected, found)
        ids = _ids(bucket, kind) if missing else []
        for identifier in missing:
            place, what = (kind.plural, identifier), f"{kind.name} {identifier}"
            findings.fail(place, what, "it to be there", "nothing", _near(identifier, ids))


def _check(findings: Findings, of: tuple[Place, str], expected: Seen | str | None, found: Mapping[str, Any]) -> None:
    if isinstance(expected, str):  # `absent`
        findings.fail(*of, "it to be absent", shown(found["attributes"]))
    elif expected is not None:
        _check_attributes(findings, of, expected, found["attributes"])
        _check_members(findings, of, expected, found)


def _check_attributes(findings: Findings, of: tuple[Place, str], expected: Seen, attributes: Mapping[str, Any]) -> None:
    place, what = of
    findings.checked += len(expected.attributes) + len(expected.without) + expected.exactly
    for name, value, found in differing(expected.attributes, attributes, expected):
        near = _near(name, attributes) if found is MISSING else ""
        findings.differs((*place, "attributes", name), (f"{what}, attribute {name}", value, found), near)


def _check_members(findings: Findings, of: tuple[Place, str], expected: Seen, found: Mapping[str, Any]) -> None:
    place, what = of
    for name in sorted(expected.model_fields_set - _NOT_MEMBERS):
        findings.checked += 1
        value, there = getattr(expected, name), found[name]
        if isinstance(value, list):
            value, there = sorted(value), sorted(there)
        if not (same_moment if name in _MOMENTS else same)(value, there):
            findings.differs((*place, name), (f"{what}, {name}", value, there))


def _ids(bucket: Bucket, kind: Kind) -> list[str]:
    """Return the ids that were delivered."""
    return list(dict.fromkeys(str(one["item"].get(kind.subject, "")) for one in bucket.journal()))


def _near(name: str, known: Mapping[str, Any] | list[str]) -> str:
    near = nearest(name, known)
    if near is None:
        return ""
    return f"{near}: {shown(known[near])}" if isinstance(known, Mapping) else near
