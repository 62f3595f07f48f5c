"""Why a row or record was rejected, in the words of the dead letters: each code, its cause, and what mends it.

The page of errors in the docs is made from this table.
"""

from dataclasses import dataclass
from typing import Final, Literal

Code = Literal[
    "blank", "blocked", "boolean", "cell", "choice", "date", "dropped", "duplicate", "encoding", "excel_error",
    "expression", "formula", "inexact_id", "infinity", "integer", "json", "local_time", "merged", "missing", "nested",
    "nul", "number", "range", "refused", "server_error", "timestamp", "timezone", "too_large", "too_long", "too_short",
    "truncated", "type", "unknown", "width", "year",
]  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a code stands for.

    Attributes:
        cause: what is wrong with the row or record.
        mend: what a person does about it.
    """

    cause: str
    mend: str


_IN_THE_SOURCE: Final = "Correct the value where the rows come from, and run again."

REASONS: Final[dict[Code, Meaning]] = {
    "blank": Meaning(
        "An id is empty, or consists of blanks.",
        "Correct it in the source. If such rows are normal, leave them out with `where:`.",
    ),
    "blocked": Meaning(
        "A firewall between here and Bucket refuses this record, and lets others through: a text looks like an attack.",
        "Ask who runs the firewall. Leave the attribute out, or `replay` the dead letter when the rule is gone.",
    ),
    "boolean": Meaning(
        "A value is none of the words for true and false.",
        "Write `null_values:` for words that mean nothing, or `{sql: ...}` that turns words into true and false.",
    ),
    "cell": Meaning(
        "A cell of a workbook holds what is no value of its kind.",
        "Open the file in Excel, save it again, and run again.",
    ),
    "choice": Meaning(
        "A value is none of those that Bucket takes for this field.",
        "Turn it into one of them with `{sql: ...}`; the message lists them.",
    ),
    "date": Meaning(
        "A text is not a date in the `format:` of its field.",
        'Write the format that the values have, or a list of formats: `format: ["%d.%m.%Y", "%Y-%m-%d"]`.',
    ),
    "dropped": Meaning(
        "A nested value has a part that Bucket would drop without a word.",
        "Leave that part out with `exclude:`, or map what you need of it as a path of its own.",
    ),
    "duplicate": Meaning(
        "A line of JSON has one name twice, and one value would hide the other.",
        "Mend the program that writes the lines.",
    ),
    "encoding": Meaning(
        "A text is not valid in the encoding of its file, often a file of Windows that is read as UTF-8.",
        "Write `encoding: cp1252` (or what it is) beside the source's path.",
    ),
    "excel_error": Meaning("A cell holds an error of Excel's, such as #N/A.", "Mend the formula in the workbook."),
    "expression": Meaning(
        "An `{sql: ...}` or the `where:` fails for this row, for example a cast of a text that is no number.",
        "Use `try_cast(...)`, or say what shall happen to such rows: `case when ... then ... end`.",
    ),
    "formula": Meaning(
        "A cell has a formula whose result was never stored.", "Open the file in Excel, save it, and run again."
    ),
    "inexact_id": Meaning(
        "An id is a float with a fraction, or too large to be exact. Two ids may have become one already.",
        "Export the id as text. Nothing after the export can bring back what is lost.",
    ),
    "infinity": Meaning("A number is infinite, which JSON cannot say.", _IN_THE_SOURCE),
    "integer": Meaning(
        "A value is not a whole number.",
        'Use `type: number`, or round it: `{sql: "round(try_cast(seats as double))", type: integer}`.',
    ),
    "json": Meaning(
        "A line or a text is not JSON, is no object, or is nested too deeply.",
        "Mend the program that writes it. A file that is cut off in the middle ends with such a line.",
    ),
    "local_time": Meaning(
        "A local time does not exist, or exists twice, since clocks change that night.",
        "Write `dst: earliest` or `dst: latest` on the field or the stream, or export times in UTC.",
    ),
    "merged": Meaning(
        "A cell is merged with others, and only the first of them has a value.",
        "Unmerge the cells in Excel, and fill them.",
    ),
    "missing": Meaning(
        "A field is empty that the record cannot do without: an id, the event's name, a score.",
        "Check the column's name in the mapping. If some rows have none, leave them out with `where:`.",
    ),
    "nested": Meaning(
        "A nested value has no form on the wire: too deep, two values of one dotted name, a time without a zone.",
        "Map the parts that you need as paths of their own (`properties.plan`), and `exclude:` the rest.",
    ),
    "nul": Meaning("A text has a NUL character in it, which no JSON of Bucket may hold.", _IN_THE_SOURCE),
    "number": Meaning(
        "A value is not a number, for example `1.234,50` or `12 %`.",
        "Turn it into one: `{sql: \"try_cast(replace(amount, ',', '.') as double)\"}`; or write `null_values:`.",
    ),
    "range": Meaning(
        "A number or time is outside of what the field takes: a score not from 1 to 5, a time before 1980 or to come.",
        "A score of another scale: `scale: [0, 10]`. A time: check `unit:` (s or ms) and `format:`.",
    ),
    "refused": Meaning(
        "Bucket refused this record, alone, with a 400 or 422. Its own words stand in the dead letter's `response`.",
        "Read them, mend the source or the mapping, and `bucket-loader replay FILE --remap`.",
    ),
    "server_error": Meaning(
        "Bucket answered this record with a server error, again and again, while others succeeded.",
        "`bucket-loader replay FILE` later. If it stays, show the record to Bucket's support.",
    ),
    "timestamp": Meaning(
        "A value is not a time in the `format:` or `unit:` of its field.",
        'Write what the values look like: `format: "%d/%m/%Y %H:%M"`, or `unit: ms` for numbers since 1970.',
    ),
    "timezone": Meaning(
        "A time has no zone, and the file does not say which it is in.",
        "Write `timezone: Europe/Berlin` (or UTC) on the field or the stream.",
    ),
    "too_large": Meaning(
        "A record has more bytes than a request may have.", "Leave long attributes out, or raise `chunk: {bytes: ...}`."
    ),
    "too_long": Meaning(
        "A text, or a line, is longer than is allowed.", 'Cut it: `{sql: "left(comment, 1000)"}`, or leave it out.'
    ),
    "too_short": Meaning(
        "A text is shorter than Bucket takes, mostly empty.", "Leave it out, or leave such rows out with `where:`."
    ),
    "truncated": Meaning(
        "A list or object is so long that Bucket would store `[TRUNCATED]` in its place.",
        "Map the parts that you need, or write `on_truncation: send` to have it cut.",
    ),
    "type": Meaning(
        "A column has values of several kinds, and this one has no certain text.",
        "Give the column one kind in the source (in Excel: one format for the whole column).",
    ),
    "unknown": Meaning(
        "The record was sent, its answer never came, and a person dropped it. It may have been applied.",
        "Nothing, if that was meant. Else `bucket-loader replay FILE` sends it again.",
    ),
    "width": Meaning(
        "A row has more or fewer fields than the header. Mostly a text with a delimiter or a line break is not quoted.",
        "Have the export quote its texts, or write the right `delimiter:`.",
    ),
    "year": Meaning(
        "A time has a year that is not between 1000 and 9998.", _IN_THE_SOURCE + " Check `unit:` and `format:`."
    ),
}
