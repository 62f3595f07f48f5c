"""From a sample to streams: what its rows are, which field each column is, what is left out. Values alone; no text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bucket_loader.model import EVENT, FEATURE_EVENT, FEEDBACK, KINDS, USER, Kind, contract
from bucket_loader.runs.init.attributes import attributes_of
from bucket_loader.runs.init.evidence import Column, Sample
from bucket_loader.runs.init.export import Export
from bucket_loader.runs.init.fields import plain_field, said_field, score_field, time_field
from bucket_loader.runs.init.guess import scalar
from bucket_loader.runs.init.guessed import Condition, GuessedField, GuessedStream, Said
from bucket_loader.runs.init.ids import id_field, of_a_known_visitor, of_a_person_beside, of_an_id, of_something
from bucket_loader.runs.init.kinds import THINGS, What, label_words, what_is
from bucket_loader.runs.init.membership import membership
from bucket_loader.runs.init.names import tokens_of
from bucket_loader.runs.init.recognised import recognised, without_a_stream
from bucket_loader.runs.init.roles import (
    ANONYMOUS,
    E_MAIL,
    WHICH,
    WHO,
    Names,
    field_column,
    has_another_id,
    holds_addresses,
    holds_ids,
    is_one_for_all,
    key_column,
    named,
    names_things,
    plain_names,
    row_id,
)
from bucket_loader.runs.init.scores import Scale, scale_of
from bucket_loader.runs.init.spelling import spelt_field, sql_of, sql_text
from bucket_loader.runs.init.times import is_a_day

_FILLED: Final = 0.2  # of the rows have an id, or another column is taken


@dataclass
class Building:
    """A stream that is being guessed.

    Attributes:
        kind: what a row is.
        sample: its rows.
        label: the file's or table's name.
        names: what the columns of each field may be called.
        export: the tool whose export it is, where it is known.
        used: the columns that fields are made from.
        fields: those found so far.
        where: which rows are sent.
        is_pair: whether a row only says which user belongs to which company.
        said: what a person has said.
    """

    kind: Kind
    sample: Sample
    label: str
    names: Mapping[str, Names]
    export: Export | None = None
    used: dict[str, Column] = field(default_factory=dict)
    fields: list[GuessedField] = field(default_factory=list)
    where: list[Condition] = field(default_factory=list)
    is_pair: bool = False
    said: Said = field(default_factory=Said)

    def of_person(self, name: str) -> Column | None:
        """Return the column that a person has said a field is; None where nobody has."""
        return next((column for column in self.sample.columns if column.name == self.said.columns.get(name)), None)

    def free(self, name: str) -> Column | None:
        """Return the column that a field seems to be, of those that no other is made from."""
        if (said := self.of_person(name)) is not None:
            return said
        taken = {column.name for column in self.used.values()}
        left = replace(self.sample, columns=[column for column in self.sample.columns if column.name not in taken])
        return field_column(left, name, self.names.get(name, ()))


def guessed_streams(sample: Sample, label: str, said: Said) -> tuple[Sequence[GuessedStream], str]:
    """Guess the streams that a sample makes; where there are none, say what it seems to be instead.

    Args:
        sample: the first rows.
        label: the file's or table's name.
        said: what a person has said.
    """
    record = said.record
    exports = recognised(sample, label.lower())
    if record is not None:
        exports = [export for export in exports if export.kind is KINDS[record]]
    if exports and exports[0].kind is None:
        return (), f"it looks like {exports[0].tool}"
    if exports:
        found = [_of_export(sample, label, export, len(exports), said) for export in exports if export.kind]
        found[-1] = replace(found[-1], reason=found[-1].reason + without_a_stream(sample, exports))
        return (found if len(found) > 1 else _with_memberships(found[0], sample)), ""
    what = What(KINDS[record], "a person said so") if record is not None else what_is(sample, label)
    if what.kind is None:
        return (), what.reason
    return _with_memberships(_of_table(sample, label, what.kind, what, said), sample), ""


def _with_memberships(stream: GuessedStream, sample: Sample) -> Sequence[GuessedStream]:
    return [stream, *membership(stream, sample)] if stream.kind is USER else [stream]


def _of_export(sample: Sample, label: str, export: Export, among: int, said: Said) -> GuessedStream:
    kind = export.kind
    assert kind is not None  # noqa: S101  # narrows the type
    name, where = label, list[Condition]()
    if export.rows is not None:
        value = export.values_in(sample)[0]
        sample = sample.only(export.rows[0], value)
        where.append(Condition(f"{export.rows[0]} = {sql_text(value)}", f"the {export.tool}"))
        name = f"{label}-{value}" if among > 1 else label
    names = {**plain_names(kind, sample), **export.fields}
    building = Building(kind, sample, label, names, export, where=where, said=said)
    return _built(building, name, f"it looks like {export.tool}")


def _of_table(sample: Sample, label: str, kind: Kind, what: What, said: Said) -> GuessedStream:
    names = plain_names(kind, sample)
    if what.is_pair:
        names["userId"] = plain_names(USER, sample)["userId"]
    return _built(Building(kind, sample, label, names, is_pair=what.is_pair, said=said), label, what.reason)


def _built(building: Building, name: str, reason: str) -> GuessedStream:
    missing = [] if building.kind is FEATURE_EVENT else list(_ids(building))
    if building.kind in (EVENT, FEEDBACK) and (column := building.used.get("userId")) is not None:
        building.sample = building.sample.known(column)  # what else the rows of nobody hold is no evidence
    _others(building)
    key, why = _key(building)
    known = _known(building, key)
    attributes, left_out = attributes_of(
        building.kind, building.sample, building.used, known, sends_personal=building.said.sends_personal
    )
    return GuessedStream(
        name=name,
        kind=building.kind,
        reason=reason,
        fields=_sorted(building),
        attributes=attributes,
        left_out=left_out,
        where=building.where,
        key=key,
        key_reason=why,
        timezone="UTC" if building.sample.local_times else None,
        missing=[*missing, *_unmet(building)],
    )


def _known(building: Building, key: Sequence[str]) -> Mapping[str, str]:
    """Return the columns that are no attributes, whatever they hold, each with its reason."""
    columns = [column.name for column in building.sample.columns]
    if building.is_pair:
        return dict.fromkeys(columns, "of a user in a company, and so neither's own")
    rows = [building.export.rows[0]] if building.export is not None and building.export.rows else []
    return dict.fromkeys(rows, "what `where:` asks for") | dict.fromkeys(key, "what `key:` holds")


def _sorted(building: Building) -> list[GuessedField]:
    order = list(contract.rules(building.kind.name))
    return sorted(building.fields, key=lambda found: order.index(found.name))


def _unmet(building: Building) -> Iterator[str]:
    have = {found.name for found in building.fields} | {"userId", "companyId"}
    yield from (
        name
        for name, rule in contract.rules(building.kind.name).items()
        if rule.required and name not in have and name != "type"
    )
    if building.kind is FEEDBACK and not have & {"score", "comment"}:
        yield "score"


# --- ids -----------------------------------------------------------------------------------------------------------


def _ids(building: Building) -> Iterator[str]:
    """Add the ids of a record; return those that it must have, and that no column holds."""
    rules = contract.rules(building.kind.name)
    for name in ("userId", "companyId"):
        if name not in building.names:
            continue
        column = _id_column(building, name)
        if column is not None:
            _add_id(building, name, column)
        elif rules[name].required:
            yield name


def _id_column(building: Building, name: str) -> Column | None:
    if (said := building.of_person(name)) is not None:
        return said
    names = building.names[name]
    is_row = building.kind.ordered and building.kind.subject == name
    if is_row and building.export is None and len([field for field in building.names if field.endswith("Id")]) == 1:
        found = row_id(building.sample, names, _entity(building.label))
    else:
        found = _filled(building, names, is_row=is_row)
    if name == "companyId" and not is_row and found is not None and is_one_for_all(found):
        found = None
    if found is None and name == "userId" and not (is_row and has_another_id(building.sample)):
        found = next((one for one in named(building.sample.columns, E_MAIL) if holds_addresses(one)), None)
    return found


def _entity(label: str) -> frozenset[str]:
    words = label_words(label)
    return (words & THINGS) | ({"person"} if "people" in words else set())


def _filled(building: Building, names: Names, *, is_row: bool) -> Column | None:
    """Return the first column that holds ids, and of a row's own id the first that enough rows have."""
    rows = max(building.sample.rows, 1)
    taken = {column.name for column in building.used.values()}
    found = [
        column for column in named(building.sample.columns, names) if holds_ids(column) and column.name not in taken
    ]
    return next((column for column in found if not is_row or len(column.values) >= _FILLED * rows), None)


def _add_id(building: Building, name: str, column: Column) -> None:
    building.used[name] = column
    building.fields.append(id_field(name, column, _id_reason(building, name, column)))
    if not contract.rules(building.kind.name)[name].required:
        return
    others = building.sample.called(ANONYMOUS)
    anonymous = building.export.anonymous if building.export is not None else ""
    building.where += of_an_id(column, building.sample.rows, always=bool(others))
    building.where += of_a_known_visitor(column, anonymous)
    building.where += of_a_person_beside(column, others)


def _id_reason(building: Building, name: str, column: Column) -> str:
    if building.of_person(name) is column:
        return "a person said so"
    if building.kind.ordered and building.kind.subject == name and column.is_distinct:
        return "each row has its own"
    return "it is called so, and its values are ids"


# --- the other fields ----------------------------------------------------------------------------------------------


def _others(building: Building) -> None:
    if building.kind is EVENT:
        _event_name(building)
    elif building.kind is FEEDBACK:
        _opinion(building)
    elif building.kind is FEATURE_EVENT:
        _evaluation(building)
    if building.kind in (EVENT, FEEDBACK) and (column := building.free("timestamp")) is not None:
        building.used["timestamp"] = column
        building.fields.append(time_field(column, building.sample))


def _event_name(building: Building) -> None:
    constant = building.export.constants.get("event") if building.export is not None else None
    column = building.free("event") or (None if constant else _shared_name(building))
    if constant is None and column is not None:
        building.used["event"] = column
        building.fields.append(plain_field("event", column))
        building.where += of_something(column, building.sample.rows)
        return
    name = constant or " ".join(tokens_of(building.label.lower().replace("-", "_"))) or "event"
    building.fields.append(GuessedField("event", f"{{value: {scalar(name)}}}", "no column names the event"))


def _shared_name(building: Building) -> Column | None:
    """Return a column `name` or `type` of which many rows have the same, where none is called like an event."""
    taken = {column.name for column in building.used.values()}
    found = [column for column in building.sample.called("name|type|kind|title") if column.name not in taken]
    return next((column for column in found if names_things(column)), None)


def _opinion(building: Building) -> None:
    score = building.free("score")
    scale = scale_of(score) if score is not None else None
    if scale is not None and building.said.ends is not None:
        scale = Scale("a person said so", building.said.ends)
    if score is not None and scale is not None:
        building.used["score"] = score
        building.fields.append(score_field(score, scale))
    comment = building.free("comment")
    if comment is not None:
        building.used["comment"] = comment
        building.fields.append(said_field(comment))
    building.fields.append(_feature(building))
    building.where += _given(score, comment, scale is not None and scale.has_unanswered)


def _feature(building: Building) -> GuessedField:
    """Return the key of the feature that an opinion is about: a column of keys, else a word to replace."""
    for column in building.sample.called("(feature|flag)(_?key)?"):
        if column.all_match(r"[a-z0-9][a-z0-9._-]*") and not column.nulls:
            return GuessedField("key", spelt_field(column), "all are like keys", column.name)
    return GuessedField("key", "{value: my-feature}", "the feature that it is about: write its key in Bucket")


def _given(score: Column | None, comment: Column | None, unanswered: bool) -> Iterator[Condition]:  # noqa: FBT001
    """Return the condition that a row holds an opinion."""
    if score is None or not (score.nulls or unanswered or "" in score.values):
        return
    scale = scale_of(score)
    if unanswered and scale is not None:
        test = f"lower({sql_of(score)}) in ({', '.join(map(sql_text, scale.answers))})"
    else:
        test = f"{sql_of(score)} <> ''" if score.family == "text" else f"{sql_of(score)} is not null"
    if comment is not None and not unanswered:
        test = f"({test} or {sql_of(comment)} <> '')"
    yield Condition(test, "the others were asked and have not answered")


def _evaluation(building: Building) -> None:
    rules = contract.rules(building.kind.name)
    for name in building.names:
        column = building.free(name)
        if column is not None:
            building.used[name] = column
            building.fields.append(plain_field(name, column))
        elif name == "action" and rules[name].required:
            building.fields.append(GuessedField(name, "{value: check}", "no column is called like it; or evaluate"))
    about = []
    for name, names in (("user", WHO), ("company", WHICH)):
        if (column := _filled(building, names, is_row=False)) is not None:
            building.used[f"{name}Id"] = column
            about.append(f"{name}.id: {scalar(column.name)}")
    if about:
        building.fields.append(GuessedField("evalContext", "{" + ", ".join(about) + "}", "whom it was asked for"))


def _key(building: Building) -> tuple[list[str], str]:
    """Return the columns that tell two rows apart, and what speaks for them."""
    if building.kind.ordered:
        return [], ""
    column = key_column(building.sample.columns, [column.name for column in building.used.values()])
    if column is not None:
        return [column.name], "tells two rows apart; each is sent once, ever"
    if "timestamp" not in building.used:  # a record is known again by its time, or by all that its row holds
        whole = [column for column in building.sample.columns if column.leaf is None]
        named = [column.name for column in whole if not column.nulls and "" not in column.values]
        return named, "no id and no time tells two rows apart, so all columns do"
    if is_a_day(building.used["timestamp"]):
        return _key_of_counts(building), "the rows are counts by day, one for each of these together"
    return [], ""


def _key_of_counts(building: Building) -> list[str]:
    """Return the fields that no two rows of a count by day share; none where two do."""
    fields = [building.used[name] for name in ("userId", "event", "timestamp", "companyId") if name in building.used]
    for last in range(fields.index(building.used["timestamp"]) + 1, len(fields) + 1):
        if building.sample.tells_apart(fields[:last]):
            return [column.name for column in fields[:last]]
    return []
