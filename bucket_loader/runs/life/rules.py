"""From which rule of the pipeline file each field of a record came: a column, a constant, an expression, `"*"`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from bucket_loader.config import FieldSpec, Pipeline, Stream, Values, mapping_fingerprint
from bucket_loader.planning import REMOVED, PlannedStream, beginnings, values_in
from bucket_loader.reporting import Field
from bucket_loader.runs.about import at

_FORMS_MAX: Final = 9  # versions of the forms of values; there are fewer
_WORDS: Final = ("type", "format", "unit", "timezone", "encoding", "scale")
_NO_RULE: Final = "no rule of today's file"


@dataclass(frozen=True)
class Rules:
    """The rules of a stream, as the pipeline file has them now.

    Attributes:
        pipeline: the pipeline file.
        stream: the stream; None where the file has none of this name any more.
    """

    pipeline: Pipeline
    stream: Stream | None

    @cached_property
    def named(self) -> dict[str, FieldSpec]:
        """The fields that are written by name, by path."""
        return {} if self.stream is None else self.stream.fields.by_path()

    @cached_property
    def _prints(self) -> set[str]:
        """The fingerprints that today's mapping can have."""
        if self.stream is None:
            return set()
        forms = [(forms, keeps) for forms in range(1, _FORMS_MAX + 1) for keeps in (False, True)]
        key = self.pipeline.hmac_key
        return {mapping_fingerprint(self.stream, key, forms=number, keeps_lists=keeps) for number, keeps in forms}

    def are_those_of(self, planned: PlannedStream) -> bool:
        """Whether a plan was made by these rules."""
        return planned.mapping in self._prints

    def fields(self, record: str, row: Mapping[str, Any] | None, source: str) -> list[Field]:
        """Return the fields of a record, each with its rule.

        Args:
            record: its text.
            row: the columns that it was made from; None where they are not there.
            source: what its row was read from.
        """
        found = [Field(path, value, self._rule(path, row, source)) for path, value in values_in(record)]
        return [*found, *self._ours(record)]

    def _ours(self, record: str) -> Iterator[Field]:
        """Yield the context, which is no field of a row."""
        if (context := msgspec.json.decode(record).get("context")) is not None:
            is_said = self.stream is not None and self.stream.active is not None
            yield Field("context", context, "`active:`" if is_said else "a background sync is no activity")

    def left_out(self, record: str, row: Mapping[str, Any] | None) -> list[str]:
        """Return the paths that the rules make and this record has not: nothing stood there."""
        there = [path for path, _ in values_in(record)]
        made = [*self.named, *(f"{name}.{column}" for name, column in self._by_star(row))]
        return [path for path in dict.fromkeys(made)
                if path not in there and not any(one.startswith(f"{path}.") for one in there)]  # fmt: skip

    def _by_star(self, row: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
        """Yield the columns of a row that `"*"` takes, with the field that they go to."""
        empty = [column for column, value in (row or {}).items() if value is None]
        used = {spec.column for spec in self.named.values()}
        for name, spec in self.stream.fields.given().items() if self.stream is not None else ():
            if isinstance(spec, Values) and spec.star is not None:
                hidden = {*spec.star.exclude, *used, *spec.named}
                yield from ((name, column) for column in empty if column not in hidden)

    def _rule(self, path: str, row: Mapping[str, Any] | None, source: str) -> str:
        if source == REMOVED:
            return "`on_removed:`" if "." in path else _removed_word(path)
        if (spec := self._spec(path)) is not None:
            return _said(spec, row)
        if path == "timestamp":
            return "the run's own time: the row gives none"
        name, _, column = path.partition(".")
        star = self.stream.fields.given().get(name) if self.stream is not None else None
        if isinstance(star, Values) and star.star is not None:
            return f'"*": column {_column(column, row)}'
        return _NO_RULE

    def _spec(self, path: str) -> FieldSpec | None:
        """Return the field of a path; of one inside of a nested value, the field of that."""
        return next((self.named[one] for one in beginnings(path) if one in self.named), None)


def _removed_word(path: str) -> str:
    return "the run's own time" if path == "timestamp" else "remembered: its row is gone from the source"


def _column(path: str, row: Mapping[str, Any] | None) -> str:
    """Return the column that a name comes from: the longest beginning of it that is one."""
    parts = path.split(".")
    beginnings = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((one for one in beginnings if row is not None and one in row), path)


def _said(spec: FieldSpec, row: Mapping[str, Any] | None) -> str:
    if spec.column is None:
        return f"sql: {spec.sql}" if spec.sql is not None else "a constant"
    if spec.default is not None and row is not None and _is_empty(at(dict(row), spec.column), spec.null_values or ()):
        return f"default: column {spec.column} is empty"
    words = [f"{word} {_spelt(value)}" for word in _WORDS if (value := getattr(spec, word)) is not None]
    column = f"{spec.hash} of column {spec.column}" if spec.hash is not None else f"column {spec.column}"
    return ", ".join([column, *words])


def _spelt(value: object) -> str:
    return " to ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _is_empty(value: object, nulls: Sequence[str]) -> bool:
    return value is None or (isinstance(value, str) and (not value.strip() or value.strip() in nulls))
