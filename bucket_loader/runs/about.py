"""Whom something is about: a user or a company, and how records, keys, rows and dead letters name one."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Any, Final, Literal

import msgspec

from bucket_loader.config import FieldSpec
from bucket_loader.model import COMPANY, KINDS, USER


@dataclass(frozen=True)
class Subject:
    """Whom something is about: a user or a company, by its id as Bucket has it."""

    field: Literal["userId", "companyId"]
    id: str

    def is_in(self, record: dict[str, Any]) -> bool:
        """Whether a record names it."""
        return self.is_named(record.get(self.field), record.get("evalContext"))

    def is_named(self, given: object, context: object) -> bool:
        """Whether an id, or the context of a feature event, names it."""
        if given is not None and str(given) == self.id:
            return True
        if not isinstance(context, dict):
            return False
        name = self.field.removesuffix("Id")
        nested = context.get(name)
        ids = (context.get(f"{name}.id"), nested.get("id") if isinstance(nested, dict) else None)
        return self.id in {str(one) for one in ids if one is not None}

    def names(self, record: str | bytes) -> bool:
        """Whether the text of a record names it."""
        decoded = _DECODER.decode(record)
        return self.is_named(getattr(decoded, self.field), decoded.evalContext)

    def keys(self) -> set[bytes]:
        """Return the keys of the records that its id alone identifies, as the mapping hashes them."""
        if self.field == USER.subject:
            return {key_of(USER.name, [self.id])}
        return {key_of(COMPANY.name, [self.id]), key_of(COMPANY.name, [self.id, None])}


class _Named(msgspec.Struct):
    """What of a record says whom it is about."""

    userId: str | int | None = None  # noqa: N815  # the record's own words
    companyId: str | int | None = None  # noqa: N815
    evalContext: dict[str, Any] | None = None  # noqa: N815


_DECODER: Final = msgspec.json.Decoder(_Named)
_ESCAPED: Final = re.compile(r"\\(?:u[0-9a-f]{4}|.)")


def as_mapped(text: str | None) -> str:
    """Return a text as JSON, spelt as the mapping spells it: signs that cannot be printed have capital digits."""
    spelt = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda sign: sign[0][:2] + sign[0][2:].upper(), spelt)


def key_of(kind: str, values: Iterable[str | None]) -> bytes:
    """Return the key of a record by the values that identify it, as the mapping hashes them."""
    spelt = f"1:{KINDS[kind].name}:{','.join(map(as_mapped, values))}"
    return md5(spelt.encode(errors="replace"), usedforsecurity=False).digest()


# --- rows ----------------------------------------------------------------------------------------------------------


def is_about(letter: dict[str, Any], subject: Subject, spec: object) -> bool:
    """Whether a dead letter names the subject; where nobody can tell which value does, any of them may."""
    if letter["record"] is not None:
        return subject.is_in(letter["record"])
    return row_holds(letter["row"], subject.id, spec)


def row_holds(row: dict[str, Any], id_: str, spec: object) -> bool:
    """Whether a row holds an id; where nobody can tell which value makes it, any of them may.

    Args:
        row: its columns.
        id_: the id as it is sent.
        spec: the field that makes it.
    """
    column = spec.column if isinstance(spec, FieldSpec) else None
    given = at(row, column) if column is not None else None
    texts = {str(value) for value in ([given] if given is not None else leaves(row))}
    if isinstance(spec, FieldSpec) and spec.hash == "sha256":
        texts |= {sha256(one.encode(errors="replace")).hexdigest() for text in texts for one in (text, text.strip())}
    return id_ in texts


def at(row: dict[str, Any], column: str) -> object:
    """Return the value of a column, or what lies at a path into one; None where there is neither."""
    if column in row:
        return row[column]
    found: object = row
    for name in column.split("."):
        found = _parsed(found)
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _parsed(value: object) -> object:
    """Return what a text holds as JSON; else what is given."""
    with suppress(ValueError):
        return json.loads(value) if isinstance(value, str) and value.lstrip().startswith(("{", "[")) else value
    return value


def leaves(value: object) -> Iterator[object]:
    """Yield the values in a row, those inside of others too."""
    value = _parsed(value)
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)
    elif value is not None:
        yield value
