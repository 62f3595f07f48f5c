"""Fields that are no ids: times in the form that their values show, scores of any scale, what people said."""

import re
from collections.abc import Mapping
from typing import Final

from bucket_loader.runs.init import shapes
from bucket_loader.runs.init.evidence import Column, Sample
from bucket_loader.runs.init.guess import Guess, quoted
from bucket_loader.runs.init.guessed import GuessedField
from bucket_loader.runs.init.scores import Scale
from bucket_loader.runs.init.spelling import spelt_field, sql_of, sql_text
from bucket_loader.runs.init.times import time_guess
from bucket_loader.runs.init.values import reason_of


def plain_field(name: str, column: Column) -> GuessedField:
    """Return a field that is a column as it stands."""
    return GuessedField(name, spelt_field(column), "it is called so", column.name)


def time_field(column: Column, sample: Sample) -> GuessedField:
    """Return the time of a record; where day and month may be either, the order that other columns have."""
    guess = time_guess(column.usual) or Guess()
    if guess.choices:
        words, others = decided(guess, sample)
        choices = [spelt_field(column, _untyped(other)) for other in others]
        return GuessedField(
            "timestamp",
            spelt_field(column, _untyped(words)),
            "day or month first? both read every value",
            column.name,
            choices,
        )
    reason = reason_of(guess.words) or "all are times"
    if (unlike := len(column.values) - len(column.usual.values)) > 0:
        reason = f"nearly all are times; {unlike:,} of {len(column.values):,} are not, and are rejected"
    return GuessedField("timestamp", spelt_field(column, _untyped(guess.words)), reason, column.name)


def decided(guess: Guess, sample: Sample) -> tuple[Mapping[str, str], list[Mapping[str, str]]]:
    """Return the likelier of two orders of day and month, and the other: as other columns have it, else by custom."""
    certain = [found for column in sample.columns if (found := time_guess(column)) is not None and found.is_certain]
    day_first = sum(1 for found in certain if _is_day_first(found.words))
    month_first = sum(1 for found in certain if _is_month_first(found.words))
    has_slashes = "/" in str(guess.choices[0])
    wants_day = day_first > month_first if day_first != month_first else not has_slashes
    ranked = sorted(guess.choices, key=lambda words: _is_day_first(words) != wants_day)
    return ranked[0], ranked[1:]


def _is_day_first(words: Mapping[str, str]) -> bool:
    return re.match(r"\W*%-?d[./-]%-?m", words.get("format", "")) is not None


def _is_month_first(words: Mapping[str, str]) -> bool:
    return re.match(r"\W*%-?m[./-]%-?d", words.get("format", "")) is not None


def _untyped(words: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in words.items() if key != "type"}


def score_field(column: Column, scale: Scale) -> GuessedField:
    """Return the score of a feedback, brought to 1 to 5."""
    if scale.answers:
        cases = " ".join(f"when {sql_text(word)} then {score}" for word, score in scale.answers.items())
        expression = f"case lower(trim({sql_of(column)})) {cases} end"
        return GuessedField("score", f"{{sql: {quoted(expression)}}}", scale.note, column.name)
    words = {} if scale.ends == (1, 5) else {"scale": f"[{scale.ends[0]}, {scale.ends[1]}]"} if scale.ends else {}
    return GuessedField("score", spelt_field(column, words), scale.note, column.name)


# What people write into a comment, and what stands there instead.
_REDACTED: Final = ((r"\S+@\S+\.\w+", "[e-mail]"), (r"\+?\(?[0-9][0-9 ().-]{7,}[0-9]", "[phone]"))


def said_field(column: Column) -> GuessedField:
    """Return the comment of a feedback; addresses and numbers that people wrote into it are taken out."""
    found = [shapes.holds(form, column.texts) for form in (shapes.EMAIL, shapes.PHONE)]
    if not any(found):
        return GuessedField("comment", spelt_field(column), "it is called so", column.name)
    expression = sql_of(column)
    for form, instead in _REDACTED:
        expression = f"regexp_replace({expression}, {sql_text(form)}, {sql_text(instead)}, 'g')"
    return GuessedField(
        "comment",
        f"{{sql: {quoted(expression)}}}",
        "some hold e-mail addresses or phone numbers, which are taken out",
        column.name,
    )
