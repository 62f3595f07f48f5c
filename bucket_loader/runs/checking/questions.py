"""What is asked of the values of a field, and when the answer is a doubt: one table, a row for each doubt.

A row counts something over all rows of a stream, in SQL, and has the words for it. All counts of a stream are one
query.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bucket_loader.model import literal
from bucket_loader.runs.checking.subjects import About, Subject

FEW: Final = 10  # rows; what fewer have in common is chance
HARMFUL, WRONG, ODD = 3, 2, 1  # what a doubt weighs: much is sent that is not meant; some is; it is worth a look

When = Callable[[int, int], bool]
"""Whether so many, of so many, are a doubt."""


def some(count: int, _of: int) -> bool:
    """Whether there are any."""
    return count > 0


def nearly_all(count: int, of: int) -> bool:
    """Whether it is nearly all of them, and they are not few."""
    return of >= FEW and count * 20 >= of * 19


def _all(count: int, of: int) -> bool:
    return count == of >= FEW


@dataclass(frozen=True)
class Question:
    """A row of the table. Names in braces stand for what a field has under them.

    Attributes:
        name: of the doubt.
        about: which fields are asked.
        count: SQL of the number.
        text: follows after `12 of 40`.
        hint: what to ask, or what to know of the line.
        line: words of the field, as they are written in the pipeline file.
        when: whether the numbers are a doubt.
        of: SQL of what the number is a part of.
        found: SQL of a number with a bit for each of `NULL_WORDS` that was found; they stand for `{found}`.
        asks: whether a field is asked.
        weight: how much harm it may do.
    """

    name: str
    about: About
    count: str
    text: str
    hint: str
    line: Mapping[str, str] = field(default_factory=dict)
    when: When = some
    of: str = "count({sent})"
    found: str = "0"
    asks: Callable[[Subject], bool] = lambda _: True
    weight: int = WRONG

    def selected(self, subject: Subject, sent: str, as_of: str) -> str:
        """Return its three expressions of the SELECT: the number, what it is a part of, and what was found."""
        at = f"TRY_CAST(left({sent}, 23) AS TIMESTAMP)"
        local = f"timezone({literal(subject.zone)}, timezone('UTC', {at}))"
        names = {"sent": sent, "read": subject.read or sent, "at": at, "local": local, "as_of": as_of}
        return ", ".join(filled(template, names) for template in (self.count, self.of, self.found))

    def text_of(self, subject: Subject, found: str) -> str:
        """Return the words after the numbers."""
        return filled(self.text, {"field": subject.field, "words": subject.words, "found": found})

    def hint_of(self, subject: Subject) -> str:
        """Return what to ask."""
        return filled(self.hint, {"field": subject.field, "words": subject.words})

    def line_of(self, subject: Subject, found: str) -> str:
        """Return the line to write; "" where there is none."""
        names = {"column": subject.in_sql, "found": found}
        return written(subject, {name: filled(text, names) for name, text in self.line.items()}) if self.line else ""


def found_words(found: int | None) -> str:
    """Return the words whose bits are in a number, as YAML lists them."""
    return ", ".join(f'"{word}"' for bit, word in enumerate(NULL_WORDS, start=1) if (found or 0) >> bit & 1)


def written(subject: Subject, words: Mapping[str, str]) -> str:
    """Return a field with some words more, as YAML; an expression among them is not in YAML yet."""
    others = {name: text for name, text in words.items() if name != "sql"}
    return subject.line_of_sql(words["sql"], **others) if "sql" in words else subject.line(**others)


def filled(template: str, names: Mapping[str, str]) -> str:
    """Put names into a template; not by `str.format`, for patterns have braces of their own."""
    return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], found[0]), template)


# --- which fields are asked ----------------------------------------------------------------------------------------

_PAST: Final = re.compile(r"(?i)creat|sign(ed|_?up)|joined|regist|seen|updat|modif")


def _is_happening(subject: Subject) -> bool:
    return subject.field == "timestamp" and not subject.stream.ordered


def _may_have_clock(subject: Subject) -> bool:
    """Whether the time of the day may be missing unseen: who writes the format of a date knows that there is none."""
    formats = subject.spec.format or []
    return (
        _is_happening(subject)
        and not subject.is_date
        and (not formats or any("%H" in one or "%I" in one for one in formats))
    )


def _is_past(subject: Subject) -> bool:
    return _is_happening(subject) or _PAST.search(subject.field) is not None


def _is_text(subject: Subject) -> bool:
    return subject.is_text and subject.spec.type in {None, "string"} and subject.spec.hash is None


def _is_one_column(subject: Subject) -> bool:
    return subject.number is not None and subject.spec.default is None


def _has_no_scale(subject: Subject) -> bool:
    return subject.spec.scale is None


# --- the table -----------------------------------------------------------------------------------------------------

UNSEEN: Final = r"^[\s\p{Z}]+|[\s\p{Z}]+$|\p{Cf}"  # blanks at the ends, and signs without a form anywhere
_DATE: Final = r"(\d{4}-\d\d-\d\d|\d\d?[./-]\d\d?[./-]\d{4})([T ].*)?"
_NOBODY: Final = (
    "null", "none", "nan", "n/a", "na", "#n/a", "nil", "undefined", "(null)", "\\n", "-", "--", "unknown", "anonymous",
)  # fmt: skip
# In these spellings alone: `none` may be an answer.
NULL_WORDS: Final = (
    "null", "NULL", "Null", "None", "NaN", "nan", "N/A", "n/a", "#N/A", "(null)", "nil", "undefined", "-", "--", "\\N",
)  # fmt: skip


def _rows(condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition})"


def _like(pattern: str) -> str:
    return _rows(f"regexp_full_match({{sent}}, {literal(pattern)})")


def _if_all(condition: str, value: str) -> str:
    return f"CASE WHEN {condition} THEN count({value}) ELSE 0 END"


def _listed(words: tuple[str, ...]) -> str:
    return f"({', '.join(map(literal, words))})"


_IS_NOTHING: Final = f"trim({{sent}}) IN {_listed(NULL_WORDS)}"

QUESTIONS: Final = (
    # --- ids ---
    Question(
        "float_ids", "id", _like(r"-?\d+\.0+"), "{field}s end in `.0`: on their way they became fractions",
        "", {"sql": "regexp_replace({column}, '[.]0+$', '')"},
        weight=HARMFUL,
    ),
    Question(
        "rounded_ids", "id", _like(r"\d([.,]\d+)?[eE]\+?\d\d?"),
        "{field}s have an exponent, as in 9.99E+99: a spreadsheet has rounded them",
        "export the column as text: in this file their digits are lost", weight=HARMFUL,
    ),
    Question(
        "dates_as_ids", "id", _like(_DATE), "{field}s look like dates", "is {words} really the id?", when=nearly_all,
        weight=HARMFUL,
    ),
    Question(
        "unseen_ids", "id", _rows(f"regexp_matches({{sent}}, {literal(UNSEEN)})"),
        "{field}s have blanks around them, or signs that nobody sees",
        "", {"sql": f"regexp_replace({{column}}, {literal(UNSEEN)}, '', 'g')"},
    ),
    Question(
        "nobody", "id", _rows(f"lower(trim({{sent}})) IN {_listed(_NOBODY)}"),
        "{field}s are a word for nothing, such as null, n/a or unknown: all these rows become one record",
        "list the word in `null_values:` of {field}, which rejects these rows; or leave them out with `where:`",
    ),
    # --- times ---
    Question(
        "future", "time", _rows("{at} > {as_of}"), "times of {words} are in the future",
        "is the zone right (`timezone:`), and the order of day and month (`format:`)?", asks=_is_past,
    ),
    Question(
        "in_1970", "time", _rows("{at} >= '1970-01-01' AND {at} < '1970-02-01'"),
        "times of {words} are in January 1970",
        "is the unit right (`unit: s`, `unit: ms`)? a 0 for nothing belongs into `null_values:`",
    ),
    Question(
        "before_2000", "time", _rows("year({at}) < 2000"), "times of {words} are before the year 2000",
        "is the `format:` or the `unit:` right?", asks=_is_happening,
    ),
    Question(
        "one_time", "time", _if_all("min({at}) = max({at})", "{at}"), "times of {words} are the same",
        "is it the time of the export? which column says when it happened?", when=_all, asks=_may_have_clock,
    ),
    Question(
        "midnight", "time", _rows("CAST({local} AS TIME) = TIME '00:00:00'"), "times of {words} fall on midnight",
        "is there a column with the time of the day?", when=nearly_all, asks=_may_have_clock, weight=ODD,
    ),
    # --- scores ---
    Question(
        "scale", "score", _if_all("max(TRY_CAST({sent} AS DOUBLE)) <= 1", "{sent}"),
        "scores are 1 or less, and Bucket's go from 1 to 5", "are they thumbs, or shares?",
        {"scale": "[0, 1]"}, when=_all, asks=_has_no_scale, weight=HARMFUL,
    ),
    # --- attributes ---
    Question(
        "json_texts", "attribute", _rows("left(ltrim({read}), 1) IN ('{', '[') AND json_valid({read})"),
        "values of {words} are whole JSON texts, each sent as one text",
        "leave it out, or have what is in them sent", {"type": "json"}, of="count({read})",
        when=lambda count, of: 0 < of <= count * 2, asks=_is_text,
    ),
    Question(
        "null_words", "attribute", _rows(_IS_NOTHING),
        "values of {words} are words for nothing, and are sent as text: {found}", "",
        {"null_values": "[{found}]"},
        found=f"bit_or(1 << list_position([{_listed(NULL_WORDS)[1:-1]}], trim({{sent}}))) FILTER (WHERE {_IS_NOTHING})",
        asks=_is_text, weight=ODD,
    ),
    Question(
        "empty", "attribute", _rows("{read} IS NULL OR trim({read}) = ''"), "values of {words} are empty",
        "is it the right column? if so, leave it out", of="count(*)", when=_all, asks=_is_one_column, weight=ODD,
    ),
)  # fmt: skip
