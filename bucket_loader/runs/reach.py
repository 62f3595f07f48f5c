"""How far a stream reads with one run: a window of its source, what is new there, or all of it."""

import re
from typing import Final

from bucket_loader.config import (
    DbtSource,
    FileSource,
    FrameSource,
    Pipeline,
    QuerySource,
    SourceSpec,
    SparkFrameSource,
    SparkSource,
    SqlSource,
    Stream,
    interval_is_used,
    sql_code,
    sql_parameters,
)
from bucket_loader.planning import sources_under

# What says that a query asks for a part that moves on: a clock, as databases call theirs.
_CLOCK: Final = re.compile(
    r"\b(now|today|current_(date|time|timestamp|datetime)|local(time|timestamp)|sys(date|timestamp|datetime)\w*"
    r"|get(utc)?date|curdate|curtime|utc_\w+|(clock|statement|transaction|unix)_timestamp)\b",
    re.IGNORECASE,
)


def is_cut(pipeline: Pipeline, stream: Stream) -> bool:
    """Whether what a stream reads depends on the interval."""
    return any(map(interval_is_used, sources_under(pipeline, stream)))


def reads_all(pipeline: Pipeline, stream: Stream) -> bool:
    """Whether a stream reads all of its source with each run, as far as the file tells: what was rejected comes again.

    A DataFrame may hold anything each time, and so may a query with a clock or with `:as_of`.
    """
    if stream.cursor is not None or "as_of" in sql_parameters(stream.where or ""):
        return False
    return all(map(_is_all, sources_under(pipeline, stream)))


def _is_all(spec: SourceSpec) -> bool:
    if isinstance(spec, (FrameSource, SparkFrameSource)) or interval_is_used(spec):
        return False
    if isinstance(spec, FileSource):
        return not spec.new_files
    text = spec.query if isinstance(spec, (SqlSource, DbtSource, SparkSource)) else None
    text = spec.sql if isinstance(spec, QuerySource) else text
    return text is None or not (sql_parameters(text) or _CLOCK.search(sql_code(text)))
