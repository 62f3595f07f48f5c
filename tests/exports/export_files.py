"""The exports in `data/`: what is known of each, its rows as texts, and the file as its tool writes it."""

import csv
import gzip
import io
import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
PARQUET_TYPES = {"text": pa.string(), "time": pa.timestamp("us"), "time in UTC": pa.timestamp("us", "UTC")}
CELL_TYPES = {"number": int, "time": datetime.fromisoformat}
KEPT_AS = {".parquet": ".jsonl", ".xlsx": ".csv"}


@dataclass(frozen=True)
class Export:
    """An export.

    Attributes:
        file: what its tool calls the file.
        known: what `expected.json` says of it; `data/README.md` explains its keys.
    """

    file: str
    known: dict

    @property
    def kept(self):
        """The file in `data/`: CSV or JSON Lines, whatever the export is."""
        name = self.file.removesuffix(".gz")
        return HERE / "data" / (name + KEPT_AS.get(Path(name).suffix, ""))

    @cached_property
    def rows(self):
        """The rows: of each its texts, by the path of the column."""
        return [_by_path(row) for row in self._rows()]

    def write(self, folder):
        """Write the file as its tool does."""
        path = folder / self.file
        match path.suffix:
            case ".gz":
                path.write_bytes(gzip.compress(self.kept.read_bytes(), compresslevel=1))
            case ".parquet":
                pq.write_table(_table(self._rows(), self.known["types"]), path)
            case ".xlsx":
                _workbook(self._lines(), self.known).save(path)
            case _:
                path.write_bytes(self.kept.read_bytes())

    def _rows(self):
        if self.kept.suffix in {".json", ".jsonl"}:
            return [json.loads(line) for line in self.kept.read_bytes().split(b"\n") if line]
        read = self.known.get("read", {})
        lines = self._lines()
        names, *rows = lines[read.get("lines_before", 0) : len(lines) - read.get("lines_after", 0)]
        null = read.get("null", "")
        return [{name: text for name, text in zip(names, row, strict=True) if text != null} for row in rows]

    def _lines(self):
        read = self.known.get("read", {})
        text = self.kept.read_bytes().decode(read.get("encoding", "utf-8"))
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=read.get("delimiter", ",")))


def all_exports():
    """Return all exports."""
    entries = json.loads((HERE / "expected.json").read_text("utf-8"))
    return [Export(entry["file"], entry) for entry in entries]


def texts_of(value, path=""):
    """Yield the texts in a value, each with its path: the items of a list share one, and JSON in a text is opened."""
    value = _opened(value)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts_of(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner, path)
    elif value is not None and (text := _text(value)).strip():
        yield path, text


def _by_path(row):
    found = {}
    for path, text in texts_of(row):
        found.setdefault(path, []).append(text)
    return found


def _opened(value):
    if isinstance(value, str) and value.strip()[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def _table(rows, types):
    """Return rows as a table; of the columns that JSON cannot tell, `types` says what they are."""
    table = pa.Table.from_pylist(rows)
    for name, kind in types.items():
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(PARQUET_TYPES[kind]))
    return table


def _workbook(lines, known):
    """Return lines as a sheet; a column's cells are text where `types` does not say what they are."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(known["sheet"])
    above = known.get("read", {}).get("lines_before", 0)
    kinds = [CELL_TYPES.get(known["types"].get(name), str) for name in lines[above]]
    for line in lines[: above + 1]:
        sheet.append(line)
    for line in lines[above + 1 :]:
        sheet.append([kind(text) if text else None for kind, text in zip(kinds, line, strict=True)])
    return book
