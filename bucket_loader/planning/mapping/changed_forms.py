"""The forms of values that have changed since a memory may have been made, and whether a stream has such values.

Without `key:` a record is known again by its content, so that a mended form alone would make all history new. The
form of values has a version. The fingerprint of a mapping holds it, where a changed form touches what is mapped, and
the ledger keeps the fingerprint with each memory.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from bucket_loader.config import FieldSpec, directives
from bucket_loader.model import form_of
from bucket_loader.planning.mapping.forms.form import family
from bucket_loader.planning.mapping.forms.numbers import is_fraction
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.null_times import TIMES, null_times


@dataclass(frozen=True)
class Formed:
    """A value as the table below sees it.

    Attributes:
        spec: what the pipeline file says of it; its zone may be the stream's.
        field: its column at the seam; None for an expression or a constant.
        duckdb_type: the type of a single value; empty for a nested column.
        beneath: the columns that its expression names.
        is_key: whether it stands in `key:`, so that a row is known again by it.
    """

    spec: FieldSpec
    field: pa.Field | None
    duckdb_type: str = ""
    beneath: tuple[pa.Field, ...] = ()
    is_key: bool = False


@dataclass(frozen=True)
class ChangedForm:
    """A form that has changed: in which version of forms, what changed, and for which values."""

    version: int
    what: str
    touches: Callable[[Formed], bool]


def _has_zone_words(formed: Formed) -> bool:
    return any("%Z" in directives(form) for form in formed.spec.format or [])


def _has_local_times_inside(formed: Formed) -> bool:
    if formed.field is None or formed.spec.timezone in {None, "UTC", "Etc/UTC"}:
        return False
    return pa.types.is_nested(formed.field.type) and spelling.has_local_times(formed.field.type)


def _has_float_keys(formed: Formed) -> bool:
    return formed.field is not None and spelling.has_float_keys(formed.field.type)


def _is_read_anew(formed: Formed) -> bool:
    return any(form_of(field) > 1 for field in (formed.field, *formed.beneath))


def _has_null_times(formed: Formed) -> bool:
    listed, of = formed.spec.null_values or [], family(formed.duckdb_type)
    if not listed or of not in TIMES:
        return False
    found = null_times(listed, of, "UTC")
    return bool({*found.texts, *found.local} - {*listed})


CHANGED: Final = (
    ChangedForm(2, "a decimal below 1 keeps the zero before its point", lambda formed: is_fraction(formed.duckdb_type)),
    ChangedForm(2, "`%Z` reads an abbreviation as one offset", _has_zone_words),
    ChangedForm(2, "nested times are read by the zones of all other times", _has_local_times_inside),
    ChangedForm(2, "`null_values:` knows a time in every spelling", _has_null_times),
    ChangedForm(2, "floats that are keys of maps have their shortest digits", _has_float_keys),
    ChangedForm(2, "the source reads the values of a column in a new way", _is_read_anew),
)


def changed_forms(values: Iterable[Formed]) -> tuple[tuple[int, str], ...]:
    """Return the changed forms that some values have: version and what has changed."""
    listed = list(values)
    return tuple((one.version, one.what) for one in CHANGED if any(map(one.touches, listed)))
