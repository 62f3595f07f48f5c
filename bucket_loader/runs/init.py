"""`init`: look at a source and write a first pipeline file, with every guess marked as one.

The text is written by hand rather than dumped, since its comments are the point.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bucket_loader.config import (
    REMOTE,
    SOURCE_TYPES,
    AnySource,
    CsvSource,
    ParquetSource,
    SourceType,
    SqlSource,
    scheme_of,
    shown_suffixes,
    type_of,
    type_of_path,
)
from bucket_loader.model import (
    COMPANY,
    EVENT,
    FEATURE_EVENT,
    FEEDBACK,
    KINDS,
    USER,
    Kind,
    SourceError,
    UsageError,
    contract,
)
from bucket_loader.sources import SourceContext, TableFolder, open_source, table_at

SAMPLE_ROWS: Final = 1_000

# What the columns of each field are called, best guess first; a pattern matches the whole name, in any case.
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "userId": (r"user_?id", r"uid", r"member_?id", r"contact_?id", r"customer_?id", r"username", r"user"),
    "companyId": (r"company_?id", r"account_?id", r"org(anization)?_?id", r"workspace_?id", r"tenant_?id", r"team_?id"),
    "event": (r"event(_?name)?", r"action", r"feature(_?name)?", r"activity"),
    "score": (r"score", r"rating", r"satisfaction(_?score)?", r"csat", r"stars"),
    "comment": (r"comment", r"feedback(_?text)?", r"message", r"text", r"review"),
    "action": (r"action", r"check_?type"),
    "key": (r"(feature|flag)_?(key|name|id)", r"key", r"feature", r"flag"),
    "evalResult": (r"eval_?result", r"result", r"(is_?)?enabled", r"value"),
    "targetingVersion": (r"(targeting_?)?version",),
    "timestamp": (r"timestamp", r"occurred_?at", r"event_?time", r"time", r"at", r"date", r".*_at", r".*_date"),
}
_TIMESTAMP_FORMS: Final = (
    ("%d-%m-%Y %H:%M", r"\d\d-\d\d-\d{4} \d\d:\d\d"),
    ("%d-%m-%Y", r"\d\d-\d\d-\d{4}"),
    ("%d/%m/%Y", r"\d\d/\d\d/\d{4}"),
    ("%d.%m.%Y", r"\d\d\.\d\d\.\d{4}"),
)
_ISO: Final = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?"


@dataclass(frozen=True)
class Column:
    """A column and a sample of its values that are not null."""

    name: str
    type: str
    values: Sequence[Any]
    nulls: int

    def all_match(self, pattern: str) -> bool:
        """Whether there are values, and each is a text of this form."""
        return bool(self.values) and all(isinstance(v, str) and re.fullmatch(pattern, v) for v in self.values)


def first_pipeline(source: str, *, record: str | None, name: str | None) -> str:
    """Look at a source and give the text of a first pipeline file.

    Raises:
        UsageError: nothing says what kind of source it is.
        SourceError: it cannot be read.
    """
    words, spec, label = _source(source)
    columns = _columns(spec)
    kind = _kind(columns, record)
    stream = "\n".join(_stream(label, words, kind, columns))
    return (
        f"# A first pipeline for {_shown(source)}, written by looking at its first {SAMPLE_ROWS:,} rows at the most.\n"
        "# Lines marked `guess` are guesses: look at each. Then, in this order:\n"
        "#   bucket-loader check FILE       are the columns and types as this file says?\n"
        "#   bucket-loader rehearse FILE    the whole run, into a local Bucket\n"
        "#   bucket-loader run FILE         for real; BUCKET_SECRET_KEY holds the key\n"
        f"name: {_scalar(name or label)}\n"
        "destination:\n"
        "  base_url: ${BUCKET_BASE_URL:-https://front.bucket.co}\n"
        "  key: ${BUCKET_SECRET_KEY}\n"
        f"streams:\n{stream}\n"
    )


def _url_written(url: str) -> str:
    """Return a database's URL as the file may hold it: what may be a password is left to the environment."""
    return "${DATABASE_URL}" if _holds_password(url) else url


def _holds_password(url: str) -> bool:
    return "@" in url or "password" in url.lower() or "?" in url


def _shown(source: str) -> str:
    url, _, table = source.partition("#")
    if scheme_of(source) in {None, *REMOTE} or not _holds_password(url):
        return source
    return f"the database whose URL is in the variable DATABASE_URL (export it), table {table or '?'}"


def _source(source: str) -> tuple[str, AnySource, str]:
    """Return the source's words for the file, its model, and a name."""
    if scheme_of(source) not in {None, *REMOTE}:
        url, _, table = source.partition("#")
        if not table:
            raise UsageError(f"{_shown(source)} names no table", hint="write for example 'sqlite:///app.db#events'")
        return (
            f"{{type: sql, url: {_scalar(_url_written(url))}, table: {_scalar(table)}}}",
            SqlSource.model_validate({"type": "sql", "url": url, "table": table}),
            _label(table),
        )
    plain = _path_of(source).lower().removesuffix(".gz").removesuffix(".zst")
    label = _label(plain.rstrip("/").rpartition("/")[2].split(".")[0] or "first")
    folder = None if type_of_path(plain) is not None else table_at(source, Path.cwd())
    of = _type_of(plain, source, folder)
    words = {"type": of.name, of.place: source}
    note = ""
    if folder is not None and folder.metadata:
        words[of.place] = f"{source.rstrip('/')}/{folder.metadata}"
        note = "  # guess: the table as it is now; `table:` and `catalog:` instead read what is written to it later"
    if of.model is CsvSource:
        delimiter = _delimiter(source)
        words |= {"type": "tsv"} if delimiter == "\t" or plain.endswith(".tsv") else {}
        words |= {"delimiter": delimiter} if delimiter not in {",", "\t"} else {}
    spelt = ", ".join(f"{key}: {_scalar(value)}" for key, value in words.items())
    return f"{{{spelt}}}{note}", of.model.model_validate(words), label


def _path_of(source: str) -> str:
    """Return a path without the query of an address."""
    return source.partition("?")[0] if scheme_of(source) in {"http", "https"} else source


def _type_of(plain: str, source: str, table: TableFolder | None) -> SourceType:
    if (found := type_of_path(plain)) is not None:
        return found
    if table is not None:
        return next(row for row in SOURCE_TYPES if row.name == table.kind)
    if Path(source).is_dir() or (scheme_of(source) and plain.endswith("/")):
        return type_of(ParquetSource)
    *ends, last = shown_suffixes()
    raise UsageError(
        f"cannot tell what {_path_of(source)} is",
        hint=f"it should end in {', '.join(ends)} or {last}, be a folder, or be a database URL",
    )


def _delimiter(source: str) -> str:
    if not Path(source).is_file():
        return ","  # the source itself says what is wrong
    try:
        with Path(source).open("rb") as file:
            line = file.readline(65_536).decode("utf-8", "replace")
    except OSError:
        return ","  # the source itself says what is wrong
    return max(",;\t|", key=line.count)


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "first"


def _columns(spec: AnySource) -> list[Column]:
    reading = open_source(spec, SourceContext(Path.cwd())).read()
    rows: list[dict[str, Any]] = []
    for batch in reading.batches:
        rows += batch.data.slice(0, SAMPLE_ROWS - len(rows)).to_pylist()
        if len(rows) >= SAMPLE_ROWS:
            break
    if not reading.schema.names:
        raise SourceError("the source has no columns", hint="is it the right file?")
    given = {name: [row[name] for row in rows if row[name] is not None] for name in reading.schema.names}
    return [
        Column(field.name, str(field.type), given[field.name], len(rows) - len(given[field.name]))
        for field in reading.schema
    ]


def _kind(columns: list[Column], record: str | None) -> Kind:
    if record is not None:
        return KINDS[record]
    found = {field: _find(columns, field) for field in _NAMES}
    if found["score"] is not None:
        return FEEDBACK
    if found["event"] is not None and found["timestamp"] is not None:
        return EVENT
    first = columns[0].name.lower()
    if found["companyId"] is not None and (found["userId"] is None or "user" not in first):
        return COMPANY
    return USER


def _find(columns: list[Column], field: str) -> Column | None:
    for pattern in _NAMES[field]:
        for column in columns:
            if re.fullmatch(pattern, column.name.lower()):
                return column
    return None


def _stream(label: str, words: str, kind: Kind, columns: list[Column]) -> Iterator[str]:
    yield f"  - name: {_scalar(label)}"
    yield f"    record: {kind.name}  # guess; one of {', '.join(KINDS)}"
    yield f"    source: {words}"
    used: set[str] = set()
    lines = list(_field_lines(kind, columns, used))
    if not kind.ordered:
        identity = _identity(columns, used)
        if identity is None and kind is FEATURE_EVENT:  # which needs one: it has no time that tells two apart
            identity = ", ".join(_scalar(column.name) for column in columns)
        yield (
            f"    key: [{identity}]  # guess: what tells two rows apart; each is sent once, ever"
            if identity
            else "    # key: [column]  # what tells two rows apart; without it the whole content does"
        )
    score = _find(columns, "score")
    is_scored = "score" in contract.rules(kind.name)
    if is_scored and score is not None and score.nulls and _find(columns, "comment") is None:
        yield f"    where: {json.dumps(_quoted(score.name) + ' is not null')}  # rows without a score are left out"
    yield "    fields:"
    yield from lines


def _identity(columns: list[Column], used: set[str]) -> str | None:
    """Return the column that seems to number the rows: an id that no field uses and no two rows share."""
    for column in columns:
        distinct = len(set(map(str, column.values))) == len(column.values) and not column.nulls
        if column.name not in used and distinct and re.fullmatch(r".*_?id", column.name.lower()):
            return _scalar(column.name)
    return None


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else '"' + name.replace('"', '""') + '"'


def _field_lines(kind: Kind, columns: list[Column], used: set[str]) -> Iterator[str]:
    rules = contract.rules(kind.name)
    for field in kind.ids or [name for name in _NAMES if name in rules and (name != "key" or rules[name].required)]:
        column = _find([column for column in columns if column.name not in used], field)
        company = _find(columns, "companyId")
        if column is not None:
            used.add(column.name)
            yield f"      {field}: {_spec(column, needs_type=field == 'timestamp')}  # guess"
        elif field == "userId" and kind is not USER and company is not None:
            expression = json.dumps(f"'account:' || {_quoted(company.name)}")
            yield f"      userId: {{sql: {expression}}}  # guess: there is no user here; one stands for each company"
        elif rules[field].required:
            yield _poor_guess(field, columns, used)
    if any("key" in group for group in contract.ONE_OF[kind.name]):
        yield "      key: {value: my-feature}  # the feature it is about: a column, or its key in Bucket"
    if "evalContext" in rules:
        yield _context_line(columns, used)
    if "attributes" in rules:
        yield from _attribute_lines(columns, used)


def _poor_guess(field: str, columns: list[Column], used: set[str]) -> str:
    if field == "action":  # a constant will do
        return "      action: {value: check}  # guess: no column is called like it; or evaluate"
    left = [column for column in columns if column.name not in used] or columns
    column = next((column for column in left if column.name.lower().endswith("id")), left[0])
    used.add(column.name)
    return f"      {field}: {_scalar(column.name)}  # guess, and a poor one: no column is called like it"


def _attribute_lines(columns: list[Column], used: set[str]) -> Iterator[str]:
    yield "      attributes:"
    yield '        "*": {}  # every column not named here, as it is'
    for column in columns:
        if column.name not in used and (spec := _spec(column, needs_type=False)) != _scalar(column.name):
            yield f"        {_scalar(column.name)}: {spec}  # guess"


def _context_line(columns: list[Column], used: set[str]) -> str:
    """Return the line that says for whom a feature was asked."""
    found = {name: _find(columns, f"{name}Id") for name in ("user", "company")}
    used |= {column.name for column in found.values() if column is not None}
    about = ", ".join(f"{name}.id: {_scalar(column.name)}" for name, column in found.items() if column is not None)
    return f"      {'' if about else '# '}evalContext: {{{about or 'user.id: column'}}}  # guess: whom it was asked for"


def _spec(column: Column, *, needs_type: bool) -> str:
    """Return the words of a field over a column, with a type where its texts all look like one."""
    words: dict[str, str] = {}
    form = next((form for form, pattern in _TIMESTAMP_FORMS if column.all_match(pattern)), None)
    if form is not None:
        words = {"type": "timestamp", "format": json.dumps(form), "timezone": "UTC"}
    elif column.all_match(_ISO):
        words = {"type": "timestamp"} | ({} if column.all_match(r".*(Z|[+-]\d\d:?\d\d)") else {"timezone": "UTC"})
    elif column.all_match(r"(?i:true|false|yes|no)"):
        words = {"type": "boolean"}
    elif column.all_match(r"-?(0|[1-9]\d{0,14})") and not column.name.lower().endswith("id"):
        words = {"type": "integer"}
    elif column.all_match(r"-?(0|[1-9]\d{0,9})\.\d{1,5}"):
        words = {"type": "number"}
    elif column.values and isinstance(column.values[0], datetime) and column.values[0].tzinfo is None:
        words = {"timezone": "UTC"}
    if needs_type:
        words.pop("type", None)
    if not words:
        return _scalar(column.name)
    return f"{{column: {_scalar(column.name)}, " + ", ".join(f"{key}: {value}" for key, value in words.items()) + "}"


def _scalar(text: str) -> str:
    """Spell a text for YAML, quoted where it could be taken for anything else."""
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) and text.lower() not in _WORDS else json.dumps(text)


_WORDS: Final = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
