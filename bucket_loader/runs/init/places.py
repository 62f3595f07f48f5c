"""A source that holds several: a folder of exports, a database, a workbook of several sheets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bucket_loader.config import ExcelSource, SqlSource, scheme_of, type_of_path
from bucket_loader.model import UsageError, counted, identifier
from bucket_loader.runs.init.place import COMPRESSED, Place, label_of, place_of
from bucket_loader.runs.init.urls import apart, shown, variable_of
from bucket_loader.sources import SourceContext, database_scheme, open_source, sheets_in, table_at

PLACES_MAX: Final = 40  # that are looked at

# Each has the columns `schema` (null where a name needs none), `name`, `is_view` (1 or 0), and `rows`: as many as the
# database thinks; -1 where it does not say. What this program keeps on a server is no export.
_POSTGRES: Final = """
SELECT nullif(CAST(n.nspname AS text), CAST(current_schema() AS text)) AS schema, c.relname AS name,
CASE WHEN c.relkind IN ('r', 'm') THEN CAST(c.reltuples AS bigint) ELSE -1 END AS rows,
CASE WHEN c.relkind IN ('v', 'm') THEN 1 ELSE 0 END AS is_view
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
AND n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_' AND left(n.nspname, 14) <> 'bucket_loader@'
ORDER BY n.nspname <> current_schema(), 1, 2"""
_DUCKDB: Final = """
SELECT nullif(schema_name, 'main') AS schema, name, rows, is_view FROM (
SELECT schema_name, table_name AS name, estimated_size AS rows, 0 AS is_view FROM duckdb_tables() WHERE NOT internal
UNION ALL SELECT schema_name, view_name, -1, 1 FROM duckdb_views() WHERE NOT internal) ORDER BY 1 NULLS FIRST, 2"""
_SQLITE: Final = """
SELECT NULL AS schema, name, -1 AS rows, type = 'view' AS is_view FROM sqlite_master
WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_'
ORDER BY 2"""
_MYSQL: Final = """
SELECT NULL AS `schema`, table_name AS name, coalesce(table_rows, -1) AS `rows`, table_type = 'VIEW' AS is_view
FROM information_schema.tables
WHERE table_schema = database() ORDER BY 2"""
_LISTINGS: Final[Mapping[str, str]] = {
    "postgresql": _POSTGRES, "postgres": _POSTGRES, "sqlite": _SQLITE, "duckdb": _DUCKDB, "mysql": _MYSQL,
    "mariadb": _MYSQL,
}  # fmt: skip
_SUFFIXES: Final = {".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".duckdb": "duckdb", ".ddb": "duckdb"}
_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_DUCKDB_MAGIC: Final = b"DUCK"  # after a checksum of eight bytes


@dataclass(frozen=True)
class Places:
    """What a source's name means.

    Attributes:
        shown: as a comment may name it.
        label: a name for all of it.
        members: the sources in it; one where it is one itself.
        notes: what a person should know, a sentence each.
    """

    shown: str
    label: str
    members: Sequence[Place]
    notes: Sequence[str] = ()


def places_of(source: str, base: Path | None = None) -> Places:
    """Find out what a source is, by its name and by what is there.

    Args:
        source: a path, or a URL.
        base: the folder that paths are written relative to; the working directory where it is None.

    Raises:
        UsageError: nothing says what kind of source it is.
        SourceError: it cannot be read.
    """
    source = _database_file(source) or source
    if scheme_of(source) is None and Path(source).is_dir() and (files := _exports_in(Path(source))):
        return _folder(source, files, base)
    if _is_database(source) and not apart(source)[1]:
        return _database(source, base)
    place = place_of(source, base)
    if place.type.model is ExcelSource and scheme_of(source) is None:
        return _workbook(place)
    return Places(place.shown, place.label, [place], _notes_on(source))


def _is_database(source: str) -> bool:
    scheme = scheme_of(source)
    return scheme is not None and database_scheme(source) in _LISTINGS


def _notes_on(source: str) -> list[str]:
    variable = variable_of(source)
    if variable is None:
        return []
    seen = shown(apart(source)[0])
    return [f"The URL holds a secret, which is not written here: export {variable} before each command ({seen})."]


# --- files of databases --------------------------------------------------------------------------------------------


def _database_file(source: str) -> str | None:
    """Return the URL of a path that is a database, with its table; None where it is none."""
    path, sign, table = source.partition("#")
    if scheme_of(source) is not None or Path(source).is_dir():
        return None
    scheme = _kind_of_file(Path(path))
    return f"{scheme}:///{path}{sign}{table}" if scheme is not None else None


def _kind_of_file(path: Path) -> str | None:
    if not path.is_file():
        return _SUFFIXES.get(path.suffix.lower())
    with path.open("rb") as file:
        head = file.read(16)
    if head == _SQLITE_MAGIC:
        return "sqlite"
    return "duckdb" if head[8:12] == _DUCKDB_MAGIC else None


def _database(url: str, base: Path | None) -> Places:
    listed = _tables(url)
    tables = [one for one in listed if not one.is_view] or listed
    label = label_of(re.sub(r"\.\w+$", "", shown(url).rstrip("/").rpartition("/")[2]) or "database")
    if not tables:
        raise UsageError(f"{shown(url)} has no tables", hint="is it the right database, and the right user?")
    members = [replace(place_of(f"{url}#{one.name}", base), extent=one.extent) for one in tables[:PLACES_MAX]]
    notes = [*_notes_on(url), *_beyond([one.name for one in tables])]
    if views := [one.name for one in listed if one not in tables]:
        notes.append(f"Views may show the same rows again, and were not looked at: {', '.join(views)}.")
    return Places(shown(url), label, members, notes)


@dataclass(frozen=True)
class _Table:
    """A table or a view of a database, with as many rows as that thinks; -1 where it does not say."""

    name: str
    rows: int
    is_view: bool

    @property
    def extent(self) -> str:
        return f"about {counted(self.rows, 'row')}" if self.rows >= 0 else ""


def _tables(url: str) -> list[_Table]:
    """Return the tables and views of a database."""
    query = " ".join(_LISTINGS[database_scheme(url)].split())
    spec = SqlSource.model_validate({"type": "sql", "url": url, "query": query})
    found: list[_Table] = []
    for batch in open_source(spec, SourceContext(Path.cwd())).read().batches:
        rows: list[dict[str, Any]] = batch.data.to_pylist()
        found += [_Table(_spelt(row["schema"], row["name"]), int(row["rows"]), bool(row["is_view"])) for row in rows]
    return found


def _spelt(schema: str | None, name: str) -> str:
    """Return what `table:` calls a table: a part that holds a dot or a quote is quoted."""
    parts = [part for part in (schema, name) if part]
    return ".".join(identifier(part) if set('."') & set(part) else part for part in parts)


# --- workbooks -----------------------------------------------------------------------------------------------------


def _workbook(place: Place) -> Places:
    """Return the sheets of a workbook that are shown and have rows, each with the row that its header is in."""
    looks = sheets_in(ExcelSource.model_validate(dict(place.looked_at or place.words)), SourceContext(Path.cwd()))
    if not looks:
        return Places(place.shown, place.label, [place])
    members = []
    for look in looks:
        words = {} if look.is_only else {"sheet": look.name}
        words |= {"header_row": str(look.header_row)} if look.header_row > 1 else {}
        label = label_of(look.name) if len(looks) > 1 else place.label
        members.append(replace(
            place, label=label, words={**place.words, **words}, looked_at={**(place.looked_at or place.words), **words},
            note="what stands above it is no header" if look.header_row > 1 else "",
        ))  # fmt: skip
    return Places(place.shown, place.label, members[:PLACES_MAX], _beyond([look.name for look in looks]))


# --- folders -------------------------------------------------------------------------------------------------------


def _exports_in(folder: Path) -> dict[str, list[Path]]:
    """Return the exports of a folder by their names, digits put aside; none where the folder is one table itself."""
    is_partitioned = any("=" in one.name for one in folder.iterdir() if one.is_dir())
    if is_partitioned or table_at(str(folder), Path.cwd()) is not None:
        return {}
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith((".", "_")) and _is_export(path):
            found.setdefault(re.sub(r"\d+", "*", path.name), []).append(path)
    are_parts = len(found) == 1 and all(path.suffix.lower() == ".parquet" for path in next(iter(found.values())))
    return {} if are_parts else found


def _is_export(path: Path) -> bool:
    return _kind_of_file(path) is not None or type_of_path(COMPRESSED.sub("", path.name.lower())) is not None


def _folder(source: str, files: Mapping[str, Sequence[Path]], base: Path | None) -> Places:
    folder = Path(source)
    members: list[Place] = []
    for pattern, paths in files.items():
        is_series = len(paths) > 1 and not set("[]?") & set(pattern)
        for path in [folder / pattern] if is_series else paths:
            members += places_of(path.as_posix(), base).members
    known = {path.name for paths in files.values() for path in paths}
    others = [path.name for path in sorted(folder.iterdir()) if path.name not in known and path.name[0] not in "._"]
    notes = [f"Not looked at in {source}: {', '.join(others)}."] if others else []
    notes += _beyond([place.label for place in members])
    return Places(source, label_of(folder.resolve().name), members[:PLACES_MAX], notes)


def _beyond(names: Sequence[str]) -> list[str]:
    left = names[PLACES_MAX:]
    return [f"Not looked at, for there are many: {', '.join(left)}."] if left else []


def named_apart(places: Sequence[Place]) -> Iterator[Place]:
    """Return places whose labels differ, since they are names in the pipeline file."""
    seen: set[str] = set()
    for place in places:
        label, number = place.label, 2
        while label in seen:
            label, number = f"{place.label}-{number}", number + 1
        seen.add(label)
        yield replace(place, label=label)
