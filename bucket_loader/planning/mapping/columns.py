"""The source's columns, and which of them a stream uses: those that fields name, and those that expressions do."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bucket_loader.config import Stream, Values
from bucket_loader.model import UsageError, identifier, nearest
from bucket_loader.planning.mapping.asked import NOTHING_ASKED, Asked
from bucket_loader.planning.mapping.expressions import check_expression, mentioned
from bucket_loader.planning.mapping.mistakes import Mistakes
from bucket_loader.planning.mapping.paths import beginnings, names_inside, path_of
from bucket_loader.planning.mapping.spec import MappingSpec
from bucket_loader.sources import members_alike

SHOWN_COLUMNS: Final = 40


@dataclass(frozen=True)
class UsedColumns:
    """The columns that a stream uses.

    Attributes:
        by_field: those that fields name.
        by_expression: those that the expressions of fields use.
        by_where: those that `where:` uses.
    """

    by_field: frozenset[str]
    by_expression: frozenset[str]
    by_where: frozenset[str]

    def numbers(self, spec: MappingSpec) -> dict[str, int]:
        """Return the numbers of the columns that expressions use, by name.

        Raises:
            UsageError: SQL cannot tell two of them apart.
        """
        folded: dict[str, str] = {}
        used = sorted(self.by_expression | self.by_where)
        for column in used:
            if folded.setdefault(column.lower(), column) != column:
                raise UsageError(
                    f"stream {spec.stream.name!r}: expressions name both {folded[column.lower()]!r} and {column!r}",
                    hint="rename one of the columns at the source; SQL does not tell them apart",
                )
            if (members := members_alike(spec.schema.field(column).type)) is not None:
                raise UsageError(
                    f"stream {spec.stream.name!r}: an expression names {column!r}, in which there are "
                    f"{' and '.join(map(repr, members))}",
                    hint="rename one of them at the source; SQL does not tell them apart",
                )
        return {column: spec.schema.names.index(column) for column in used}


def used_columns(spec: MappingSpec, mistakes: Mistakes) -> UsedColumns:
    """Find the columns that a stream uses, and hold its expressions against the rules.

    Raises:
        UsageError: columns are missing (all are named), or an expression is no scalar of the row alone.
    """
    by_field = _named_by_fields(spec.stream)
    _require(spec, mistakes)
    by_expression = _used_by(_expressions(spec.stream), spec, mistakes)
    by_where = _used_by({} if spec.stream.where is None else {"where": spec.stream.where}, spec, mistakes)
    mistakes.raise_any()
    return UsedColumns(frozenset(by_field), by_expression, by_where)


def asked_columns(stream: Stream, asked: Asked = NOTHING_ASKED) -> Callable[[str], bool]:
    """Return what tells whether a stream, or a limit, asks for a column, before its source is opened."""
    expressions = _expressions(stream) | ({} if stream.where is None else {"where": stream.where})
    try:
        mentions = frozenset(name for place, text in expressions.items() for name in mentioned(text, place))
    except UsageError:  # compiling the stream says so
        return lambda _: True
    cursor = [stream.cursor.column] if stream.cursor else []
    named = [*read_columns(stream), *cursor, *([asked.fresh] if asked.fresh else ())]
    names = {beginning for name in named for beginning in beginnings(name)}
    stars = _excluded(stream)
    return lambda name: name in names or name.lower() in mentions or any(name not in excluded for excluded in stars)


def read_columns(stream: Stream) -> list[str]:
    """Return the columns that the words of a stream name and that are read as they are: those of fields and `key:`."""
    return [*_named_by_fields(stream), *(stream.key or ())]


def excluded_names(stream: Stream) -> list[str]:
    """Return what a stream leaves out of its `*`."""
    return [name for star in _excluded(stream) for name in star]


def spread(values: Values, used: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that a `*` adds: those that no field uses and that it does not exclude."""
    star = values.star
    taken = {*used, *values.named, *([] if star is None else star.exclude)}
    return tuple(name for name in names if star is not None and name not in taken)


def shown(names: list[str]) -> str:
    """Return the columns of a source for a person, the first of many."""
    return ", ".join(names[:SHOWN_COLUMNS])


def named_columns(numbers: Mapping[str, int]) -> list[str]:
    """Return columns under the names that expressions call them by."""
    return [f"c{index} AS {identifier(name)}" for name, index in numbers.items()]


def _named_by_fields(stream: Stream) -> list[str]:
    return [spec.column for spec in stream.fields.by_path().values() if spec.column is not None]


def _excluded(stream: Stream) -> list[list[str]]:
    """Return what each `*` leaves out."""
    given = stream.fields.given().values()
    return [values.star.exclude for values in given if isinstance(values, Values) and values.star is not None]


def _require(spec: MappingSpec, mistakes: Mistakes) -> None:
    wanted = [*read_columns(spec.stream), *excluded_names(spec.stream)]
    there = frozenset(spec.schema.names)
    missing = [name for name in dict.fromkeys(wanted) if name not in there and path_of(name, spec.source) is None]
    if not missing:
        _require_fresh(spec)
        return
    known = [*spec.source.names, *names_inside(spec.source)]
    near = [match for column in missing if (match := nearest(column, known)) is not None]
    guess = f"did you mean {', '.join(map(repr, near))}? " if near else ""
    mistakes.add(
        "the source has no column " + ", ".join(map(repr, missing)), f"{guess}it has: {shown(spec.source.names)}"
    )
    mistakes.raise_any()


def _require_fresh(spec: MappingSpec) -> None:
    column = spec.asked.fresh
    if column is not None and column not in spec.schema.names:
        near = nearest(column, [*spec.source.names, *names_inside(spec.source)])
        raise UsageError(
            f"stream {spec.stream.name!r}: `limits: fresh` names {column!r}, a column that the source does not have",
            hint=(f"did you mean {near!r}? " if near else "") + f"it has: {shown(spec.source.names)}; "
            "a stream without such a column says `limits: {fresh: null}`",
        )


def _expressions(stream: Stream) -> dict[str, str]:
    """Return the expressions of a stream's fields, by the place where each stands."""
    return {f"fields.{path}": spec.sql for path, spec in stream.fields.by_path().items() if spec.sql is not None}


def _used_by(expressions: Mapping[str, str], spec: MappingSpec, mistakes: Mistakes) -> frozenset[str]:
    there, used = frozenset(spec.source.names), set[str]()
    for place, text in expressions.items():
        try:
            used |= check_expression(text, place, there)
        except UsageError as error:
            mistakes.note(error)
    return frozenset(used)
