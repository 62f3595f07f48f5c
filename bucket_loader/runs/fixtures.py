"""Fixtures of a rehearsal: small files in the place of sources, so that it needs no warehouse."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from bucket_loader.config import AnySource, FixtureSource, Pipeline, QuerySource, Stream
from bucket_loader.model import UsageError
from bucket_loader.sources import table_names


def read_fixtures(words: Iterable[str]) -> dict[str, Path]:
    """Return the fixtures that the words of a command line mean, NAME=FILE each.

    Raises:
        UsageError: a word is not of this form, or a name is there twice.
    """
    found: dict[str, Path] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not (name and equals and file):
            raise UsageError(
                f"--source {word!r} is not NAME=FILE", hint="write for example --source accounts=tests/accounts.csv"
            )
        if name in found:
            raise UsageError(f"--source names {name!r} twice", hint="one file stands for a source")
        found[name] = Path(file)
    return found


def require_fixtures(pipeline: Pipeline, streams: tuple[str, ...]) -> None:
    """Refuse a rehearsal with fixtures in which a source would be asked that has none.

    Raises:
        UsageError: there is one; all are named.
    """
    wanted = [stream for stream in pipeline.streams if not streams or stream.name in streams]
    missing = dict.fromkeys(name for stream in wanted for name in _without_fixture(pipeline, stream))
    if missing:
        names = ", ".join(map(repr, missing))
        raise UsageError(
            f"fixtures are given, and none for {names}: {'its' if len(missing) == 1 else 'their'} real source would be "
            "asked",
            hint=" ".join(f"--source '{name}=FILE'" for name in missing)
            + ", or `sources:` of an assert file; or leave "
            "streams out with --stream",
        )


def _without_fixture(pipeline: Pipeline, stream: Stream) -> Iterator[str]:
    """Return the names of what a stream reads, and no fixture stands for."""
    spec = pipeline.source_of(stream)
    if _is_missing(spec):
        yield stream.source if isinstance(stream.source, str) else stream.name
    if isinstance(spec, QuerySource):
        names = sorted(table_names(spec.sql) & pipeline.sources.keys())
        yield from (name for name in names if _is_missing(pipeline.sources[name]))


def _is_missing(spec: AnySource) -> bool:
    return isinstance(spec, FixtureSource) and spec.read is None
