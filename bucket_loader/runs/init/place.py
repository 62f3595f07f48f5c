"""Where a source is, and the words that the pipeline file has for it."""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bucket_loader.config import (
    PATH_PARAMETER,
    REMOTE,
    SOURCE_TYPES,
    AnySource,
    CsvSource,
    ParquetSource,
    SourceType,
    SqlSource,
    scheme_of,
    shown_suffixes,
    type_by_end,
    type_of,
)
from bucket_loader.model import UsageError
from bucket_loader.runs.init.guess import name_of, scalar
from bucket_loader.runs.init.urls import apart, shown, variable_of
from bucket_loader.sources import SourceContext, TableFolder, csv_words, table_at

# Ends of names that say how a file is compressed; which of them can be read is for the source to say.
_NUMBERS: Final = frozenset({"header_row"})
COMPRESSED: Final = re.compile(r"(\.(gz|gzip|zst|zstd|bz2|xz))+$")


@dataclass(frozen=True)
class Place:
    """A source, and how it is written.

    Attributes:
        shown: as a comment may name it: without what may be a password.
        label: a name for it.
        words: of the source, in the pipeline file.
        type: its type.
        note: what a person should know.
        looked_at: the words to read it by now: a path's dates stand for any.
        variables: what its words refer to.
        extent: how much is there, where somebody says.
        described: what somebody has written of columns, by their names in lower case.
    """

    shown: str
    label: str
    words: Mapping[str, str]
    type: SourceType
    note: str = ""
    looked_at: Mapping[str, str] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    extent: str = ""
    described: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> AnySource:
        """The source as it is read now."""
        return self.type.model.model_validate(dict(self.looked_at or self.words))

    @property
    def line(self) -> str:
        """Its words as the file has them."""
        return _line(self.words, self.variables) + (f"  # guess: {self.note}" if self.note else "")

    @property
    def line_looked_at(self) -> str:
        """Its words as they are tried now."""
        return _line(self.words if self.variables else self.looked_at or self.words, self.variables)


def _line(words: Mapping[str, str], variables: Collection[str]) -> str:
    return "{" + ", ".join(f"{key}: {_spelt(key, value, variables)}" for key, value in words.items()) + "}"


def _spelt(key: str, value: str, variables: Collection[str]) -> str:
    if key in _NUMBERS:
        return value
    return name_of(value) if value[2:-1] in variables else scalar(value)


def place_of(source: str, base: Path | None = None) -> Place:
    """Find out what a source is, by its name.

    Args:
        source: a path, or a URL.
        base: the folder that paths are written relative to; the working directory where it is None.

    Raises:
        UsageError: nothing says what kind of source it is.
    """
    if scheme_of(source) not in {None, *REMOTE}:
        return _table(source, base)
    plain = COMPRESSED.sub("", _path_of(source).lower())
    label = label_of(plain.rstrip("/").rpartition("/")[2].split(".")[0] or "first")
    folder = None if type_by_end(plain) is not None else table_at(source, Path.cwd())
    of = _type_of(plain, source, folder)
    name = "tsv" if of.model is CsvSource and plain.endswith(".tsv") else of.name
    words = {"type": name, of.place: source}
    note = ""
    if folder is not None and folder.metadata:
        words[of.place] = f"{source.rstrip('/')}/{folder.metadata}"
        note = "the table as it is now; `table:` and `catalog:` instead read what is written to it later"
    looked_at, variable = _any_time(words, of.place), variable_of(source)
    path = path_from(base, words[of.place]) if variable is None else f"${{{variable}}}"
    variables = {} if variable is None else {variable: source}
    return Place(shown(source), label, {**words, of.place: path}, of, note, looked_at, variables)


def path_from(base: Path | None, path: str) -> str:
    """Return a path of this machine as it is written in a file of another folder."""
    if base is None or scheme_of(path) is not None or Path(path).is_absolute():
        return path
    end = "/" if path.endswith("/") else ""
    return Path(os.path.relpath(Path.cwd() / path, base)).as_posix() + end


def _url_from(base: Path | None, url: str) -> str:
    """Return the URL of a database in a file, as it is written in a file of another folder."""
    scheme, slashes, path = url.partition(":///")
    is_relative = slashes and scheme in {"sqlite", "duckdb"} and not path.startswith("/") and not path.startswith(":")
    return f"{scheme}:///{path_from(base, path)}" if is_relative else url


def _table(source: str, base: Path | None) -> Place:
    url, table = apart(source)
    if not table:
        raise UsageError(f"{shown(url)} names no table", hint="write for example 'sqlite:///app.db#events'")
    variable = variable_of(url)
    words = {"type": "sql", "url": url, "table": table}
    return Place(
        f"{shown(url)}#{table}",
        label_of(table),
        words | {"url": _url_from(base, url) if variable is None else f"${{{variable}}}"},
        type_of(SqlSource),
        looked_at=words,
        variables={} if variable is None else {variable: url},
    )


def _any_time(words: Mapping[str, str], place: str) -> Mapping[str, str]:
    """Return words whose path has no interval in it, since `init` is given none."""
    return {**words, place: PATH_PARAMETER.sub("*", words[place])}


def looked_into(place: Place) -> Place:
    """Return a place with the words that a CSV file's own text speaks for.

    Raises:
        SourceError: the file cannot be read.
    """
    model = place.model
    if not isinstance(model, CsvSource):
        return place
    found = csv_words(model, SourceContext(Path.cwd()))
    delimiter = found.pop("delimiter", ",")
    more = {"type": "tsv" if delimiter == "\t" else "csv"} | found
    more |= {"delimiter": delimiter} if delimiter not in {",", "\t"} else {}
    note = "its bytes are no UTF-8" if found.get("encoding") == "cp1252" else place.note
    return replace(
        place, words={**place.words, **more}, note=note, looked_at={**(place.looked_at or place.words), **more}
    )


def _path_of(source: str) -> str:
    """Return a path without the query of an address."""
    return source.partition("?")[0] if scheme_of(source) in {"http", "https"} else source


def _type_of(plain: str, source: str, table: TableFolder | None) -> SourceType:
    if (found := type_by_end(plain)) is not None:
        return found
    if table is not None:
        return next(row for row in SOURCE_TYPES if row.name == table.kind)
    if Path(source).is_dir() or (scheme_of(source) and plain.endswith("/")):
        return type_of(ParquetSource)
    *ends, last = shown_suffixes()
    raise UsageError(
        f"cannot tell what {shown(source)} is",
        hint=f"it should end in {', '.join(ends)} or {last}, be a folder, or be a database URL",
    )


def label_of(text: str) -> str:
    """Return a text as a name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "first"
