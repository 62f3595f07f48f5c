"""What a single value may be: durations, sizes, shares, names, keys."""

import math
import re
from decimal import Decimal
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema

from bucket_loader.config.sql_text import known_parameters
from bucket_loader.model import did_you_mean

_DURATION_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE_UNITS_BYTES = {"": 1, "B": 1, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}


class Model(BaseModel):
    """A part of the pipeline file: unknown keys are mistakes, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)


def duration_s(value: object) -> float:
    """Read `30m`, `10s`, `1.5h`, or a number of seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", str(value))
    if match is None or isinstance(value, bool):
        raise ValueError("is not a duration; write for example 10s, 30m or 2h")
    return float(match[1]) * _DURATION_UNITS_S[match[2] or "s"]


def keep_s(value: object) -> float:
    """Read a duration, or `forever`."""
    if value == "forever":
        return math.inf
    try:
        return duration_s(value)
    except ValueError:
        raise ValueError("is not a duration; write for example 30d, or forever") from None


def size_bytes(value: object) -> int:
    """Read `512KiB`, `1MiB`, or a number of bytes."""
    match = re.fullmatch(r"\s*(\d+)\s*(B|KB|KiB|MB|MiB)?\s*", str(value))
    if match is None or isinstance(value, bool):
        raise ValueError("is not a size; write for example 512KiB or 1MiB")
    return int(match[1]) * _SIZE_UNITS_BYTES[match[2] or ""]


class Share(Model):
    """A limit as a count, or as a percentage of a whole."""

    amount: float = Field(ge=0)
    percent: bool

    def allows(self, count: int, whole: int) -> bool:
        """Whether `count` out of `whole` is within the limit."""
        return count <= (self.amount * whole / 100 if self.percent else self.amount)

    def __str__(self) -> str:
        return f"{self.amount:g}%" if self.percent else f"{self.amount:g}"


def share(value: object) -> Share:
    """Read `10%` or a whole number."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%)?\s*", str(value))
    if match is None or isinstance(value, bool) or (not match[2] and not float(match[1]).is_integer()):
        raise ValueError("is neither a percentage nor a whole number; write for example 10% or 500")
    return Share(amount=float(match[1]), percent=bool(match[2]))


def _part(value: Share) -> Share:
    if value.percent and value.amount > 100:  # noqa: PLR2004  # per cent: all of it
        raise ValueError("is more than 100%, so that it would allow everything")
    return value


def directives(form: str) -> list[str]:
    """List the directives of a time format: `%d/%-m %%y` has `%d`, `%-m` and `%%`."""
    return re.findall(r"%-?.", form, re.DOTALL)


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        advice = did_you_mean(name, available_timezones(), "write for example UTC or Europe/Copenhagen")
        raise ValueError(f"no time zone is named {name!r}; {advice}") from None
    return name


def clean_key(value: str) -> str:
    """Strip blanks around a key and refuse what cannot stand in a header; no message shows the key (TRAPS: V)."""
    stripped = value.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", stripped):
        state = "is empty" if not stripped else "has a blank, a line break or a character outside ASCII inside"
        raise ValueError(f"the key {state}; check the variable it comes from")
    return stripped


def _clean_secret(key: SecretStr) -> SecretStr:
    return SecretStr(clean_key(key.get_secret_value()))


HASH_KEY_LENGTH_MIN: Final = 16


def _hash_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    if len(text) < HASH_KEY_LENGTH_MIN:
        raise ValueError(f"is shorter than {HASH_KEY_LENGTH_MIN} characters, which can be guessed")
    return SecretStr(text)


def _above_zero(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


def _at_least_one(columns: list[str]) -> list[str]:
    if not columns:
        raise ValueError("names no column")
    return columns


def _scale(bounds: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    least, greatest = bounds
    if least >= greatest:
        raise ValueError("is the least score and then the greatest, for example [0, 10]")
    return bounds


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,99}", value):
        raise ValueError("must be letters, digits, blanks, `_`, `.` or `-`, beginning with a letter or digit")
    return value


# What may be written, for the JSON Schema: each of these is read from text, or from less than the model holds.
_NUMBER_OR_TEXT = WithJsonSchema({"type": ["number", "string"]})
_TEXT_OR_TEXTS = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})

Duration = Annotated[float, BeforeValidator(duration_s), _NUMBER_OR_TEXT]
Size = Annotated[int, BeforeValidator(size_bytes), _NUMBER_OR_TEXT]
PositiveDuration = Annotated[Duration, AfterValidator(_above_zero)]
Keep = Annotated[float, BeforeValidator(keep_s), AfterValidator(_above_zero), _NUMBER_OR_TEXT]
Timezone = Annotated[str, AfterValidator(_timezone)]
Name = Annotated[str, AfterValidator(_name)]
ShareOf = Annotated[
    Share, BeforeValidator(lambda value: value if isinstance(value, Share) else share(value)), _NUMBER_OR_TEXT
]
PartOf = Annotated[ShareOf, AfterValidator(_part)]
Key = Annotated[SecretStr, AfterValidator(_clean_secret)]
HashKey = Annotated[SecretStr, AfterValidator(_hash_key)]
Sql = Annotated[str, Field(min_length=1), AfterValidator(known_parameters)]
Texts = Annotated[
    list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value), _TEXT_OR_TEXTS
]
_Bound = Annotated[Decimal, Field(max_digits=12, decimal_places=6)]
Scale = Annotated[
    tuple[_Bound, _Bound],
    AfterValidator(_scale),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
]
Columns = Annotated[Texts, AfterValidator(_at_least_one)]
