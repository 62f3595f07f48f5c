"""The sources of one plan: opened, staged where several streams read them, and held against their fingerprints."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from bucket_loader.config import AnySource, DbtSource, Pipeline, QuerySource, Stream
from bucket_loader.model import (
    ArrivingFiles,
    FindableRows,
    LoadedFile,
    Locate,
    Reading,
    Rejection,
    Source,
    SourceError,
    UsageError,
    read_time,
)
from bucket_loader.planning import cursor
from bucket_loader.planning.cursor import Mark
from bucket_loader.planning.mapping import asked_columns
from bucket_loader.planning.request import PlanRequest
from bucket_loader.sources import (
    SourceContext,
    StagedSource,
    asked_columns as asked_by_query,
    open_source,
    require_built,
    stage,
    table_names,
)


class Sources:
    """The sources of one plan: each named one that serves several streams, or a query, is read once and staged."""

    def __init__(self, request: PlanRequest) -> None:
        self.request = request
        self._named = request.pipeline.sources
        self._opened: list[tuple[str, Source, str]] = []
        self._staged: dict[str, StagedSource] = {}
        self._arrived: dict[str, tuple[LoadedFile, ...]] = {}
        self._asked: dict[str, _Asked] = {}
        self._folder = request.folder / "sources"
        specs = [request.pipeline.source_of(stream) for stream in request.wanted()]
        used = [stream.source for stream in request.wanted() if isinstance(stream.source, str)]
        for spec in specs:
            used += table_names(spec.sql) if isinstance(spec, QuerySource) else ()
        self._shared = {name for name in used if used.count(name) > 1}

    def require_upstream(self) -> None:
        """Hold every source against what it requires of what it is made from, before any is read.

        Raises:
            UpstreamError: one is not so.
        """
        context, now = SourceContext(self.request.base), read_time(self.request.made_at)
        asked = [stream for stream in self.request.wanted() if stream.name not in self.request.instead]
        specs = {id(spec): spec for stream in asked for spec in sources_under(self.request.pipeline, stream)}
        for spec in specs.values():
            for note in require_built(spec, context, now) if isinstance(spec, DbtSource) else ():
                self.request.note(note)

    def read(self, stream: Stream) -> tuple[Reading, Iterator[Rejection]]:
        """Open a stream's source; beside it, the rows that a query cannot see because they could not be read."""
        if stream.name in self.request.instead:
            return self.request.instead[stream.name].read(), iter(())
        spec = self.request.pipeline.source_of(stream)
        if isinstance(spec, QuerySource):
            return self._query(stream, spec)
        if isinstance(stream.source, str) and stream.source in self._shared:
            return self._stage(stream.source).read(), iter(())
        label = stream.source if isinstance(stream.source, str) else stream.name
        return self._noted(label, self._open(label, spec, {}, stream).read()), iter(())

    def _noted(self, label: str, reading: Reading) -> Reading:
        """Pass on what the user should know of how a source is read."""
        for note in reading.notes:
            self.request.note(f"{label}: {note}")
        return reading

    def arrived(self, stream: Stream) -> tuple[LoadedFile, ...] | None:
        """Return the files that a stream reads for the first time; None when it reads whatever is there."""
        return self._arrived.get(stream.name)

    def _query(self, stream: Stream, spec: QuerySource) -> tuple[Reading, Iterator[Rejection]]:
        names = sorted(table_names(spec.sql) & self._named.keys())
        staged = {name: self._stage(name) for name in names}
        tables = {name: source.path for name, source in staged.items()}
        try:
            reading = self._open(stream.name, spec, tables, stream).read()
        except SourceError as error:
            if not tables:
                error.hint = f"the sources that are named: {', '.join(sorted(self._named)) or 'none'}"
            raise
        return reading, chain.from_iterable(source.unread() for source in staged.values())

    def _stage(self, name: str) -> StagedSource:
        if name not in self._staged:
            self._folder.mkdir(exist_ok=True, mode=0o700)
            source = self._open(name, self._named[name], {})
            path = self._folder / f"{len(self._staged)}.parquet"
            self._staged[name] = stage(self._noted(name, source.read()), path, fingerprint=self._opened[-1][2])
        return self._staged[name]

    def _open(self, label: str, spec: AnySource, tables: Mapping[str, Path], stream: Stream | None = None) -> Source:
        loaded = None
        if stream is not None and self._is_of_new_files(stream):
            loaded = frozenset() if self.request.full else self.request.loaded.get(stream.name, frozenset())
        asked = _Asked(self._parameters(stream))
        self._asked[f"stream {stream.name}" if stream is not None else f"source {label}"] = asked
        is_used = self._asks(stream) if stream is not None else self._asked_of(label)
        column = stream.cursor.column if stream is not None and stream.cursor is not None else None
        request = self.request
        source = open_source(
            spec,
            SourceContext(
                request.base, asked, tables, loaded, column, is_used, tasks=request.tasks, run=request.engine.run
            ),
        )
        if stream is not None and loaded is not None and isinstance(source, ArrivingFiles):
            self._arrived[stream.name] = source.arrivals()
        self._opened.append((label, source, source.fingerprint()))
        return source

    def _asks(self, stream: Stream) -> Callable[[str], bool]:
        """Return what tells whether a stream asks for a column of its source."""
        return asked_columns(stream, self.request.asked(stream))

    def _asked_of(self, name: str) -> Callable[[str], bool]:
        """Return what tells whether any stream asks for a column of a named source, itself or by its query."""
        asking: list[Callable[[str], bool]] = []
        for stream in self.request.wanted():
            spec = self.request.pipeline.source_of(stream)
            if isinstance(spec, QuerySource):
                asking += [asked_by_query(spec.sql)] if name in table_names(spec.sql) else []
            elif stream.source == name:
                asking.append(self._asks(stream))
        return lambda column: any(asks(column) for asks in asking)

    def locator(self, stream: Stream, name: str) -> Locate | None:
        """Return what says where in its file a row of a stream is, by the name of its origin."""
        spec = self.request.pipeline.source_of(stream)
        under = table_names(spec.sql) if isinstance(spec, QuerySource) else ()
        labels = {*under, stream.source if isinstance(stream.source, str) else stream.name}
        sources = [source for label, source, _ in self._opened if label in labels and isinstance(source, FindableRows)]
        found = [locate for source in sources if (locate := source.locator(name)) is not None]
        return found[0] if len(found) == 1 else None

    def require_whole(self, stream: Stream) -> None:
        """Refuse `on_removed:` over a source that gives a part of its rows, now that its queries have been seen.

        Raises:
            UsageError: the source, or one under its query, asked for the interval or the cursor.
        """
        if stream.on_removed is None or stream.name in self.request.instead:
            return
        if narrowing := self._narrowing(stream):
            raise UsageError(
                f"`on_removed:` needs a source that is read whole, and this one uses {narrowing[0]}",
                hint="read every row that exists, or leave `on_removed:` out",
            )

    def is_read_whole(self, stream: Stream) -> bool:
        """Whether a stream's reading has every row of its source, now that its queries have been seen."""
        request = self.request
        is_cut = request.limit is not None or request.sample is not None or stream.name in request.instead
        if is_cut or stream.cursor is not None or self._is_of_new_files(stream):
            return False
        return not self._narrowing(stream)

    def _is_of_new_files(self, stream: Stream) -> bool:
        return bool(getattr(self.request.pipeline.source_of(stream), "new_files", False))

    def _narrowing(self, stream: Stream) -> list[str]:
        """Return what a stream's source, or one under its query, asked for and that leaves out rows."""
        spec = self.request.pipeline.source_of(stream)
        under = table_names(spec.sql) if isinstance(spec, QuerySource) else ()
        opened = [f"stream {stream.name}", *(f"source {name}" for name in (*under, stream.source))]
        names = {name for label in opened if label in self._asked for name in self._asked[label].names}
        return sorted(names - {"as_of"})

    def _parameters(self, stream: Stream | None) -> dict[str, Mark]:
        found: dict[str, Mark] = {"as_of": self.request.as_of}
        if stream is not None and stream.cursor is not None:
            known = None if self.request.full else self.request.cursors.get(stream.name)
            found["cursor"] = cursor.bound(stream.cursor, known)
        if self.request.interval is not None:
            found["interval_start"], found["interval_end"] = self.request.interval
        return found

    def require_unchanged(self) -> None:
        """Hold every source against the fingerprint taken when it was opened.

        Raises:
            SourceError: one changed while it was read.
        """
        for label, source, before in self._opened:
            if source.fingerprint() != before:
                raise SourceError(
                    f"source {label!r} changed while it was read; nothing was sent",
                    hint="let its writer finish first (write to another name, then rename), and run again",
                )

    def fingerprints(self) -> dict[str, str]:
        """Return each source's fingerprint by its label."""
        return {label: fingerprint for label, _, fingerprint in self._opened}

    def clear(self) -> None:
        """Remove what was staged: the plan holds all that matters of it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self.request.tasks is not None:
            self.request.tasks.clear()


def sources_under(pipeline: Pipeline, stream: Stream) -> Iterator[AnySource]:
    """Yield what a stream reads, and the named sources that its query reads."""
    spec = pipeline.source_of(stream)
    yield spec
    names = table_names(spec.sql) if isinstance(spec, QuerySource) else set()
    yield from (pipeline.sources[name] for name in sorted(names & pipeline.sources.keys()))


class _Asked(dict[str, Mark]):
    """A run's parameters, and which of them a source asked for."""

    def __init__(self, values: Mapping[str, Mark]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Mark:
        self.names.add(name)
        return super().__getitem__(name)
