"""What somebody may have meant: the nearest of the words that are known.

Every "did you mean" comes from here: those of files, of columns, of names and of the command line.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

# What the words of other tools are called here. Each counts only where its meaning is among the words that are known.
_CALLED_HERE: Final = {
    word: meaning
    for meaning, words in {
        # types of sources
        "tsv": "tab",
        "excel": "xlsx xls xlsm spreadsheet workbook",
        "jsonl": "json ndjson jsonlines json_lines",
        "arrow": "feather ipc",
        "parquet": "pq",
        "sql": "postgres postgresql mysql mariadb sqlite snowflake bigquery duckdb redshift database db table",
        # types of values
        "string": "str text varchar char",
        "integer": "int int64 bigint long",
        "number": "float double decimal numeric real",
        "boolean": "bool",
        "timestamp": "datetime time timestamptz",
        # records
        "user": "users person people contact contacts identify",
        "company": "companies account accounts organization organisation org group groups",
        "event": "events track",
        "feedback": "feedbacks survey surveys nps response responses",
        "feature_event": "feature_events",
        # sync modes
        "changes": "incremental upsert merge diff update changed",
        "append": "insert add",
        "full": "overwrite replace mirror all refresh",
        # other values
        "utf8": "utf-8 utf_8",
        "sha256": "sha-256 sha sha2",
        "hmac": "hmac-sha256 hmac_sha256",
        "gzip": "gz",
        "zstd": "zst",
        "omit": "skip drop ignore",
        "s": "sec second seconds",
        "ms": "millis millisecond milliseconds",
        "us": "micros microsecond microseconds",
        "ns": "nanos nanosecond nanoseconds",
        # commands
        "init": "new create",
        "check": "validate test lint",
        "run": "load sync start apply",
        "rehearse": "rehearsal simulate dry-run",
        "status": "runs list ls history",
        "emulator": "serve server",
    }.items()
    for word in words.split()
}


def nearest(given: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return the known word that `given` is most likely meant to be; None where none is like it, from 0 to 1."""
    by_form = {_form(word): word for word in known if word != given}
    form = _form(given)
    meaning = _CALLED_HERE.get(given.lower())
    if form in by_form:
        return by_form[form]
    if meaning is not None and _form(meaning) in by_form:
        return by_form[_form(meaning)]
    near = get_close_matches(form, by_form, n=1, cutoff=likeness)
    return by_form[near[0]] if near else None


def did_you_mean(given: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the hint with the word that was meant; `otherwise` where none is near."""
    near = nearest(given, known)
    return otherwise if near is None else f"did you mean `{near}`?"


def nearest_few(given: str, known: Iterable[str]) -> list[str]:
    """Return the few of many names that are most like `given`, for a list to choose from."""
    return get_close_matches(given, known, n=5, cutoff=0.4)


def _form(word: str) -> str:
    """Return what words have in common that differ in case, blanks, hyphens and underscores alone."""
    return "".join(letter for letter in word.lower() if letter.isalnum()) or word
