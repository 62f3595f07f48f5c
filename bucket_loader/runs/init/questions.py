"""What `init` asks a person: at most six things that a guess may have wrong, each with real values beside it.

The values are for the terminal alone; what is written afterwards is a guess like any other, with the answers in it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bucket_loader.model import EVENT, FEEDBACK, KINDS, contract
from bucket_loader.runs.init.evidence import Column, Sample
from bucket_loader.runs.init.guessed import GuessedField, GuessedStream, Said
from bucket_loader.runs.init.roles import holds_ids
from bucket_loader.runs.init.scores import scale_of
from bucket_loader.runs.init.stream import guessed_streams
from bucket_loader.runs.init.times import time_guess

QUESTIONS_MAX: Final = 6
VALUES_SHOWN: Final = 5
_COLUMNS_SHOWN: Final = 8
_SCALES: Final = ("1-5", "0-10", "1-10", "1-7", "0-5", "0-100", "0-1")
YES, NO = "yes", "no"


@dataclass(frozen=True)
class Question:
    """A question to a person.

    Attributes:
        text: what is asked.
        guess: the answer that is taken where none is given; empty where there is no guess.
        answers: what may be answered, each with what speaks for it: values, or words.
    """

    text: str
    guess: str
    answers: Sequence[tuple[str, str]]


Ask = Callable[[Question], str]
"""Asks a person; returns one of the answers, or the guess."""

Guessed = tuple[Sequence[GuessedStream], str]


class Conversation:
    """The questions about one source, or about several together.

    Args:
        ask: asks a person; None where there is nobody to ask.
        is_short: whether there are several sources, of which only what is missing or in doubt is asked.
    """

    def __init__(self, ask: Ask | None, *, is_short: bool = False) -> None:
        self._person = ask
        self._is_short = is_short
        self._left = QUESTIONS_MAX

    def guessed(self, sample: Sample, label: str, said: Said) -> Guessed:
        """Return the streams that a sample makes, guessed anew after each answer that is no guess."""
        found = guessed_streams(sample, label, said)
        if self._person is None:
            return found
        for question in (self._kind, self._ids, self._time, self._scale, self._personal):
            answered = question(sample, label, said, found[0])
            if answered != said:
                said, found = answered, guessed_streams(sample, label, answered)
        streams, instead = found
        return [self._ordered(stream) for stream in streams], instead

    def _ask(self, text: str, guess: str, answers: Sequence[tuple[str, str]]) -> str:
        if self._person is None or self._left == 0 or not answers:
            return guess
        self._left -= 1
        return self._person(Question(text, guess, answers))

    def _kind(self, sample: Sample, label: str, said: Said, streams: Sequence[GuessedStream]) -> Said:
        if said.record is not None or self._is_short or len(streams) > 1:
            return said
        guess = streams[0].kind.name if streams else ""
        column = sample.columns[0]
        kinds = [(name, f"for example {values_of(sample, column)}" if name == guess else "") for name in KINDS]
        answer = self._ask(f"What is a row of {label}?", guess, kinds)
        return replace(said, record=answer) if answer and answer != guess else said

    def _ids(self, sample: Sample, label: str, said: Said, streams: Sequence[GuessedStream]) -> Said:
        """Ask for the id that a record must have."""
        for stream in streams:
            rules = contract.rules(stream.kind.name)
            for name in ("userId", "companyId"):
                if name not in rules or not rules[name].required:
                    continue
                guess = next((field.column for field in stream.fields if field.name == name), "")
                if self._is_short and guess:
                    continue
                among = [column for column in sample.columns if column.name == guess or _may_be_id(column)]
                answer = self._ask(f"{label}: which column is the {name}?", guess, _shown(sample, among, guess))
                if answer and answer != guess:
                    said = replace(said, columns={**said.columns, name: answer})
        return said

    def _time(self, sample: Sample, label: str, said: Said, streams: Sequence[GuessedStream]) -> Said:
        """Ask when something happened, where several columns are times."""
        if self._is_short or len(streams) != 1 or streams[0].kind not in (EVENT, FEEDBACK):
            return said
        guess = next((field.column for field in streams[0].fields if field.name == "timestamp"), "")
        among = [column for column in sample.columns if column.name == guess or time_guess(column) is not None]
        if len(among) < 1 + bool(guess):
            return said
        answer = self._ask(f"{label}: when did it happen?", guess, _shown(sample, among, guess))
        return replace(said, columns={**said.columns, "timestamp": answer}) if answer and answer != guess else said

    def _scale(self, sample: Sample, label: str, said: Said, streams: Sequence[GuessedStream]) -> Said:
        names = [field.column for stream in streams for field in stream.fields if field.name == "score"]
        column = next((column for column in sample.columns if column.name in names), None)
        scale = scale_of(column) if column is not None else None
        if column is None or scale is None or scale.ends is None:
            return said
        guess = f"{scale.ends[0]}-{scale.ends[1]}"
        text = f"{label}: on which scale is {column.name} ({values_of(sample, column)})?"
        answers = [(one, "as it stands" if one == "1-5" else "") for one in dict.fromkeys([guess, *_SCALES])]
        least, _, greatest = self._ask(text, guess, answers).partition("-")
        ends = (int(least), int(greatest))
        return replace(said, ends=ends) if ends != scale.ends else said

    def _personal(self, sample: Sample, label: str, said: Said, streams: Sequence[GuessedStream]) -> Said:
        left = {one.name: one.reason for stream in streams for one in stream.left_out if one.is_personal}
        if not left:
            return said
        known = {column.name: column for column in sample.columns}
        listed = "; ".join(
            f"{name} ({reason}{': ' + values_of(sample, known[name]) if name in known else ''})"
            for name, reason in list(left.items())[:_COLUMNS_SHOWN]
        )
        answers = [(YES, "nothing of them is sent"), (NO, "they are sent as attributes")]
        answer = self._ask(f"{label}: leave out what is about persons? {listed}", YES, answers)
        return replace(said, sends_personal=True) if answer == NO else said

    def _ordered(self, stream: GuessedStream) -> GuessedStream:
        """Ask for the order of day and month in a time that may have either."""
        return replace(stream, fields=[self._chosen(field) for field in stream.fields])

    def _chosen(self, field: GuessedField) -> GuessedField:
        if not field.choices:
            return field
        spellings = [field.spelling, *field.choices]
        named = {f"{number}": spelling for number, spelling in enumerate(spellings, start=1)}
        chosen = named[self._ask(f"{field.name} of {field.column}: {field.reason}", "1", list(named.items()))]
        others = [spelling for spelling in spellings if spelling != chosen]
        return field if chosen == field.spelling else replace(field, spelling=chosen, choices=others)


def _may_be_id(column: Column) -> bool:
    return holds_ids(column) and column.distinct > 1 and time_guess(column) is None


def _shown(sample: Sample, columns: Sequence[Column], first: str) -> list[tuple[str, str]]:
    ranked = sorted(columns, key=lambda column: column.name != first)
    return [(column.name, values_of(sample, column)) for column in ranked[:_COLUMNS_SHOWN]]


def values_of(sample: Sample, column: Column) -> str:
    """Return the first values of a column that differ, for a person to see."""
    return ", ".join(list(dict.fromkeys(map(_short, _values(sample, column))))[:VALUES_SHOWN]) or "empty"


def _values(sample: Sample, column: Column) -> Iterator[Any]:
    if column.leaf is not None or column.family in {"text", "number", "boolean"}:
        yield from column.values
        return
    for batch in sample.batches:  # of moments the sample keeps numbers
        yield from (value for value in batch.column(column.name).slice(0, 100).to_pylist() if value is not None)


def _short(value: object) -> str:
    text = "".join(sign if sign.isprintable() else " " for sign in str(value)).strip()
    return text if len(text) <= 28 else f"{text[:27]}…"  # noqa: PLR2004  # characters
