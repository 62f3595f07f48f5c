"""The pipeline files of a folder: YAML files that have `streams:`."""

import re
from pathlib import Path
from typing import Final

from bucket_loader.config.document import FILE_BYTES_MAX, parse, read_whole
from bucket_loader.config.sources import type_of_path
from bucket_loader.model import UsageError, nearest

SUFFIXES: Final = (".yaml", ".yml")
_HAS_STREAMS: Final = re.compile(rb"""^["']?streams["']?\s*:""", re.MULTILINE)
_DATABASES: Final = (".db", ".sqlite", ".sqlite3", ".duckdb")
_SHOWN_MAX: Final = 10


def pipeline_files(folder: Path) -> list[Path]:
    """Return the pipeline files that lie in a folder, by name; what cannot be read is none."""
    return sorted(
        file for file in folder.glob("*") if file.suffix in SUFFIXES and file.is_file() and _has_streams(file)
    )


def only_pipeline_file(folder: Path, command: str) -> Path:
    """Return the pipeline file of a folder that has one alone; `command` is what is asked, for the hint.

    Raises:
        UsageError: there is none, or more than one.
    """
    files = pipeline_files(folder)
    if len(files) == 1:
        return Path(files[0].name)
    if not files:
        raise UsageError(
            "there is no pipeline file in this folder",
            hint=f"name one, `{command} PIPELINE`; `bucket-loader init SOURCE -o FILE` writes a first one",
        )
    names = [file.name for file in files[:_SHOWN_MAX]] + ["..."] * (len(files) > _SHOWN_MAX)
    raise UsageError(
        f"there are {len(files)} pipeline files in this folder: {', '.join(names)}",
        hint=f"name one: {command} {files[0].name}",
    )


def names_of_streams(file: Path) -> list[str]:
    """Return the names of a pipeline file's streams; those of a file with mistakes, as far as it can be read.

    Raises:
        ConfigError: it is no YAML.
        OSError: it cannot be read.
    """
    streams = parse(read_whole(file), str(file)).data.get("streams")
    listed = streams if isinstance(streams, list) else []
    names = [stream.get("name") for stream in listed if isinstance(stream, dict)]
    return [name for name in names if isinstance(name, str)]


def other_than(file: Path) -> str:
    """Return what to do about a pipeline file that is not there: those that lie where it was looked for, or a start."""
    files = pipeline_files(file.parent)
    near = nearest(file.stem, [found.stem for found in files])
    meant = next((found for found in files if found.stem == near), None)
    if meant is not None:
        return f"did you mean `{meant}`?"
    if not files:
        return "give the path of a pipeline file; `bucket-loader init SOURCE -o FILE` writes a first one"
    return f"in {file.parent.absolute()} there are: {', '.join(found.name for found in files[:_SHOWN_MAX])}"


def holds_rows(file: Path) -> bool:
    """Whether a file is one of rows by its name; of JSON nobody can tell."""
    name = file.name.lower()
    return name.endswith(_DATABASES) or (type_of_path(name) is not None and not name.endswith(".json"))


def _has_streams(file: Path) -> bool:
    try:
        text = read_whole(file)
    except OSError:
        return False
    return len(text) <= FILE_BYTES_MAX and _HAS_STREAMS.search(text) is not None
