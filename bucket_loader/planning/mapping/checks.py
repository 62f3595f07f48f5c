"""What can be wrong with a row: its values, what the contract says of their fields, and the record as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bucket_loader.model import Code, FieldRule, Reason, Stage, contract, literal
from bucket_loader.planning.mapping.forms.form import Wrong
from bucket_loader.planning.mapping.forms.numbers import INTEGER_MAX
from bucket_loader.planning.mapping.forms.texts import BLANK, BLANK_MESSAGE
from bucket_loader.planning.mapping.members import Member, NestedColumn, Value
from bucket_loader.planning.mapping.spec import MappingSpec

BITS: Final = 62  # checks in one mask: a BIGINT without its sign
# Record timestamps before this are a unit mistaken, not history (DESIGN: small decisions).
EARLIEST: Final = "1980-01-01"


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong with a row: a predicate of the SELECT, and the reason it stands for."""

    predicate: str
    stage: Stage
    code: Code
    message: str
    field: str | None = None
    column: str | None = None

    def reason(self) -> Reason:
        """Word the reason; the message names the column, never its value."""
        subject = f"column {self.column!r}" if self.column else self.field or "the row"
        return Reason(self.code, f"{subject} {self.message}", self.field)


def checks_of(spec: MappingSpec, members: Mapping[str, Sequence[Member]], record_bytes_max: int) -> list[Check]:
    """Return all that can be wrong with a row, in the order in which it is told."""
    listed = [member for field in members.values() for member in field]
    values = sorted((one for one in listed if isinstance(one, Value)), key=lambda value: value.number)
    nested = sorted((one for one in listed if isinstance(one, NestedColumn)), key=lambda column: column.number)
    checks = [check for value in values for check in _of_value(value, spec)]
    checks += [Check(f"x{one.number}", "map", "nested", "has no form", one.target, one.column) for one in nested]
    if spec.where is not None:
        checks.append(Check("w IS NULL", "map", "expression", "makes `where:` fail"))
    for group in contract.one_of(spec.stream.record, spec.api):
        absent = [f"v{member.number} IS NULL" for name in group for member in members.get(name, [])]
        checks.append(Check(" AND ".join(absent), "validate", "missing", f"has neither {' nor '.join(group)}"))
    too_large = f"makes a record of more than {record_bytes_max} bytes, the most that `chunk: bytes:` allows"
    checks.append(Check(f"coalesce(strlen(record) > {record_bytes_max}, false)", "validate", "too_large", too_large))
    return checks


def _of_value(value: Value, spec: MappingSpec) -> list[Check]:
    def check(wrong: Wrong, stage: Stage) -> Check:
        predicate = value.fill(wrong.predicate)
        return Check(predicate, stage, wrong.code, wrong.message, value.target, value.spec.column)

    checks = [check(wrong, "map") for wrong in value.form.wrong]
    checks += [check(wrong, "validate") for wrong in _against_contract(value, spec)]
    if value.guarded:
        failed = f"s{value.number} IS NULL"
        checks.append(Check(failed, "map", "expression", "has an expression that fails for this row", value.target))
    return checks


def _against_contract(value: Value, spec: MappingSpec) -> list[Wrong]:
    rule = spec.rules.get(value.target)
    found: list[Wrong] = []
    required = rule is not None and (rule.required or (rule.form == "timestamp" and not spec.stream.ordered))
    if required or value.target.startswith("key."):
        texts = rule is None or rule.form in {"text", "choice"}
        level = "{v}" if texts else "{n}"
        found.append(Wrong(f"{level} IS NULL", "missing", "is empty, and the record cannot do without it"))
    if rule is not None:
        # A number that is sent as text is measured as that text.
        as_text = rule.form in {"text", "choice"} and value.family != "text"
        level = f"({value.form.text})" if as_text else "{v}"
        found += [replace(wrong, predicate=wrong.predicate.replace("{v}", level)) for wrong in _limits(rule)]
    if value.target == "timestamp":
        latest = f"TIMESTAMP '{spec.as_of:%Y-%m-%d %H:%M:%S.%f}' + INTERVAL 1 DAY"
        between = f"{{v}} >= TIMESTAMP '{EARLIEST}' AND {{v}} <= {latest}"
        message = "is not between 1980 and a day after the run's time (is the unit or the format right?)"
        found.append(Wrong(f"{{v}} IS NOT NULL AND NOT ({between})", "range", message))
    return found


def _limits(rule: FieldRule) -> list[Wrong]:
    """Return what the contract says of a field, as predicates."""
    found: list[Wrong] = []
    given = "{v} IS NOT NULL AND "
    if rule.name in {"userId", "companyId"}:
        found.append(Wrong(given + BLANK.format("{v}"), "blank", BLANK_MESSAGE))
    elif rule.form == "text" and rule.length_min:
        message = f"has fewer than {rule.length_min} characters"
        found.append(Wrong(f"{given}length({{v}}) < {rule.length_min}", "too_short", message))
    if rule.form == "text" and rule.length_max is not None:
        message = f"has more than {rule.length_max} characters"
        found.append(Wrong(f"{given}length({{v}}) > {rule.length_max}", "too_long", message))
    if rule.form == "choice":
        listed = ", ".join(map(literal, rule.choices))
        found.append(Wrong(f"{given}{{v}} NOT IN ({listed})", "choice", f"is none of {', '.join(rule.choices)}"))
    if rule.minimum is not None:
        found.append(Wrong(f"{given}{{v}} < {rule.minimum}", "range", f"is less than {rule.minimum}"))
    if rule.form == "integer" and rule.maximum is None:
        # Beyond it the form would be text, and the field is a number.
        found.append(Wrong(f"{given}{{v}} > {INTEGER_MAX}", "range", "is more than a JSON number can say"))
    if rule.maximum is not None:
        found.append(Wrong(f"{given}{{v}} > {rule.maximum}", "range", f"is more than {rule.maximum}"))
    return found
