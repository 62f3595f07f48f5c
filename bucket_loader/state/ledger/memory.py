"""What the ledger remembers beyond one run: notes, each stream's memory, and how far it has read."""

from collections.abc import Iterable, Sequence

from bucket_loader.model import LoadedFile, StateError
from bucket_loader.state.ledger.database import NOTE, OLDER, SCHEMA_VERSION, Database, Row, Statement, layout
from bucket_loader.state.ledger.rows import SnapshotFile

_ADD_PART = """
    INSERT INTO memory (stream, number, file, rows, run, digest)
    SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ?, ? FROM memory WHERE stream = ?
"""
_REFUSED = """
    INSERT INTO refused VALUES (?, ?, ?, ?, ?) ON CONFLICT (stream) DO UPDATE
    SET file = excluded.file, rows = excluded.rows, run = excluded.run, digest = excluded.digest
"""
CLAIMING = 2  # how a stream is settled of which something is set aside; else 1
BASELINE = "baseline of "  # begins the note of a stream's last whole reading
ASIDE = "state = 'queued' AND aside IS NOT NULL"  # of a chunk: it comes after all others
_SETTLE = f"""
    UPDATE stream SET sent = ?, settled = CASE WHEN EXISTS (
        SELECT 1 FROM chunk c WHERE c.run = stream.run AND c.stream = stream.position AND {ASIDE}
    ) THEN {CLAIMING} ELSE 1 END WHERE run = ? AND position = ?
"""
_MARK = (
    "INSERT INTO cursor VALUES (?, ?, ?) ON CONFLICT (stream) DO UPDATE SET mark = excluded.mark, run = excluded.run"
)


class Memory:
    """The part of a ledger that outlives its runs."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.kept_copy: str | None = None  # where the ledger is as it was, where this brought it up to date
        if (version := self.meta("schema")) in OLDER:
            self.kept_copy = database.keep_copy(version or "")
            self._write(layout(database.columns))
        if self.meta("schema") != SCHEMA_VERSION:
            raise StateError(
                f"the ledger {database.name} has schema {self.meta('schema')}, this version reads {SCHEMA_VERSION}",
                hint="use the version of bucket_loader that wrote it",
            )

    def close(self) -> None:
        """Close it, and let the next run in."""
        self.database.close()

    def _query(self, statement: str, *parameters: object) -> list[Row]:
        return self.database.query(statement, *parameters)

    def _write(self, statements: Iterable[Statement]) -> None:
        self.database.write(list(statements))

    def meta(self, name: str) -> str | None:
        """Return what is noted under a name."""
        rows = self._query("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def note(self, **values: str) -> None:
        """Note values under names."""
        self._write((NOTE, pair) for pair in values.items())

    def memory(self) -> dict[str, list[str]]:
        """Return the files of each stream's memory, oldest first."""
        return {stream: [part.file for part in parts] for stream, parts in self.parts().items()}

    def parts(self) -> dict[str, list[SnapshotFile]]:
        """Return each stream's memory, oldest first."""
        found: dict[str, list[SnapshotFile]] = {}
        for stream, *part in self._query("SELECT stream, file, rows, digest FROM memory ORDER BY stream, number"):
            found.setdefault(str(stream), []).append(SnapshotFile(*part))
        return found

    def runs_of_parts(self, stream: str) -> list[tuple[SnapshotFile, str]]:
        """Return the files of a stream's memory, oldest first, each with the last run whose records it holds."""
        rows = self._query("SELECT run, file, rows, digest FROM memory WHERE stream = ? ORDER BY number", stream)
        return [(SnapshotFile(*part), str(run)) for run, *part in rows]

    def parts_beside_claims(self, stream: str) -> list[int]:
        """Return for each part of a stream, oldest first, how many runs it is newer than of which something waits.

        What later runs remember is asked for when such a run is settled once more; so parts that it is older than stay
        apart from those that it is not.
        """
        rows = self._query(
            "SELECT (SELECT count(*) FROM stream s JOIN run c ON c.run = s.run "
            f"WHERE s.name = m.stream AND s.settled = {CLAIMING} AND c.number < r.number) "
            "FROM memory m LEFT JOIN run r ON r.run = m.run WHERE m.stream = ? ORDER BY m.number",
            stream,
        )
        return [int(count) for (count,) in rows]

    def parts_after(self, run: str, stream: str) -> set[str]:
        """Return the files of a stream's memory that later runs have written."""
        rows = self._query(
            "SELECT m.file FROM memory m JOIN run r ON r.run = m.run "
            "WHERE m.stream = ? AND r.number > (SELECT number FROM run WHERE run = ?)",
            stream, run,
        )  # fmt: skip
        return {str(file) for (file,) in rows}

    def refusals(self) -> dict[str, SnapshotFile]:
        """Return the file of what the API has refused of each stream; none where it is nothing."""
        rows = self._query("SELECT stream, file, rows, digest FROM refused")
        return {str(stream): SnapshotFile(*file) for stream, *file in rows}

    def files(self) -> dict[str, list[SnapshotFile]]:
        """Return all files in which something is remembered of each stream."""
        found = self.parts()
        for stream, file in self.refusals().items():
            found.setdefault(stream, []).append(file)
        return found

    def cursors(self) -> dict[str, str]:
        """Return each stream's high-water mark, as it is spelt."""
        return {str(stream): str(mark) for stream, mark in self._query("SELECT stream, mark FROM cursor")}

    def loaded_files(self) -> dict[str, frozenset[LoadedFile]]:
        """Return the files that each stream has loaded."""
        found: dict[str, set[LoadedFile]] = {}
        for stream, *file in self._query("SELECT stream, name, bytes, digest FROM loaded_file"):
            found.setdefault(str(stream), set()).add(LoadedFile(*file))
        return {stream: frozenset(files) for stream, files in found.items()}

    def settle(  # noqa: PLR0913  # what moves, moves in one commit
        self, run: str, position: int, *, stream: str, part: SnapshotFile | tuple[str, int] | None,
        mark: str | None = None, loaded: Sequence[LoadedFile] = (), sent: str | None = None,
        refused: SnapshotFile | None = None, baseline: str | None = None,
    ) -> None:  # fmt: skip
        """Commit that a stream's memory holds what this run delivered.

        Args:
            run: the run.
            position: the stream's place in its plan.
            stream: its name.
            part: the new file of memory.
            mark: the new high-water mark, where it moves.
            loaded: files that are not to be loaded again.
            sent: the digest of what was delivered; None for nothing.
            refused: the new file of what was refused, without rows where that is nothing any more; None where it is
                as it was.
            baseline: what the stream's next reading is compared with, where that moves.
        """
        statements: list[Statement] = [(_SETTLE, (sent, run, position))]
        if mark is not None:
            statements.append((_MARK, (stream, mark, run)))
        statements += [
            ("INSERT INTO loaded_file VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
             (stream, file.name, file.bytes, file.digest, run))
            for file in loaded
        ]  # fmt: skip
        if part is not None:
            file, rows, digest = SnapshotFile(*part)
            statements.append((_ADD_PART, (stream, file, rows, run, digest, stream)))
        if refused is not None and refused.rows:
            statements.append((_REFUSED, (stream, refused.file, refused.rows, run, refused.digest)))
        elif refused is not None:
            statements.append(("DELETE FROM refused WHERE stream = ?", (stream,)))
        if baseline is not None:
            statements.append((NOTE, (f"{BASELINE}{stream}", baseline)))
        self._write(statements)

    def baselines(self) -> dict[str, str]:
        """Return what each stream's next reading is compared with, as it is spelt."""
        rows = self._query("SELECT name, value FROM meta WHERE substr(name, 1, ?) = ?", len(BASELINE), BASELINE)
        return {str(name).removeprefix(BASELINE): str(value) for name, value in rows}

    def replace_memory(self, stream: str, files: Sequence[str], merged: SnapshotFile | tuple[str, int]) -> None:
        """Commit that one part stands for several; it is as new as the newest of them."""
        self._write(self._replacing(stream, files, merged))

    def _replacing(self, stream: str, files: Sequence[str], merged: SnapshotFile | tuple[str, int]) -> list[Statement]:
        """Return the statements by which one part stands for several."""
        marks = ", ".join("?" * len(files))
        named = f"FROM memory m LEFT JOIN run r ON r.run = m.run WHERE m.stream = ? AND m.file IN ({marks})"
        ((number,),) = self._query(f"SELECT max(m.number) {named}", stream, *files)
        ((run,), *_) = self._query(f"SELECT m.run {named} ORDER BY r.number DESC LIMIT 1", stream, *files)
        file, rows, digest = SnapshotFile(*merged)
        return [
            (f"DELETE FROM memory WHERE stream = ? AND file IN ({marks})", (stream, *files)),
            ("INSERT INTO memory (stream, number, file, rows, run, digest) VALUES (?, ?, ?, ?, ?, ?)",
             (stream, number, file, rows, run, digest)),
        ]  # fmt: skip

    def last_mapping(self, stream: str) -> str | None:
        """Return the mapping that a stream's newest memory was made with; None when it has none."""
        rows = self._query(
            "SELECT s.mapping FROM memory m JOIN stream s ON s.run = m.run AND s.name = m.stream "
            "JOIN run r ON r.run = m.run WHERE m.stream = ? ORDER BY r.number DESC LIMIT 1",
            stream,
        )
        return str(rows[0][0]) if rows else None
