"""What the engines of database servers share: the query, its check, and the words for what goes wrong."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from bucket_loader.config import SqlDialect, sql_code, with_parameters
from bucket_loader.model import InputBatch, Reading, SourceError, SourceUnavailableError
from bucket_loader.sources.base import Parameter
from bucket_loader.sources.databases.address import Address

CONNECT_S: Final = 10
READING_WORDS: Final = ("select", "with", "values", "table")
_READ_HINT: Final = "write one SELECT; nothing else is sent to a database"


@dataclass(frozen=True)
class SourceQuery:
    """A query put to a database.

    Attributes:
        sql: one SELECT; its parameters are spelt `:name`.
        origin: what to call its rows: the table's name, or `query`.
        parameters: what is bound.
        timeout_s: how long the database may work on it; None for as long as the database itself allows.
        is_used: whether anybody asks for a column of it.
    """

    sql: str
    origin: str
    parameters: Mapping[str, Parameter]
    timeout_s: float | None = None
    is_used: Callable[[str], bool] = lambda _: True


class Engine(Protocol):
    """What a kind of database is, for us: opened read-only, always."""

    def quoted(self, name: str) -> str:
        """Spell an identifier."""
        ...

    def fingerprint(self) -> str:
        """Identify the database's content, without changing it."""
        ...

    def read(self, query: SourceQuery) -> Reading:
        """Run one query."""
        ...


class Server(ABC):
    """A database behind a network: its fingerprint is its place.

    Rows do change while they are read, and that does no harm: one query sees one state of the database, which is why
    nothing of the content need stand in the fingerprint.
    """

    dialect: SqlDialect = "standard"

    def __init__(self, address: Address) -> None:
        self.address = address

    def fingerprint(self) -> str:
        """Return the database's place."""
        return repr((self.address.scheme, self.address.hosts, self.address.path, self.address.user))

    @abstractmethod
    def stream(self, query: SourceQuery) -> Iterator[InputBatch]:
        """Run a query: first a batch without rows, which tells the columns, then those with its rows."""

    def read(self, query: SourceQuery) -> Reading:
        """Run a query as far as its columns are known; they hold as long as its transaction, which stays open."""
        stream = self.stream(query)
        return Reading(next(stream).data.schema, stream)

    def one_select(self, sql: str) -> str:
        """Return a query without its last semicolon.

        Raises:
            SourceError: it begins with a word that does not read. (That it cannot write is the database's own doing,
                where it knows read-only transactions; this is for those that do not, and for the message.)
        """
        code = sql_code(sql, self.dialect)
        last = code.rindex(";") if code.rstrip().endswith(";") else len(code)
        words = re.findall(r"[A-Za-z_]+|;|[^\s(]", code[:last])
        if not words or words[0].lower() not in READING_WORDS:
            found = words[0].upper() if words and words[0].isalpha() else "no statement"
            raise SourceError(f"the query must be one SELECT; it begins with {found}", hint=_READ_HINT)
        if ";" in words:
            raise SourceError("the query must be one SELECT; it is several statements", hint=_READ_HINT)
        return sql[:last]

    def writes(self) -> SourceError:
        """Word that a query tried to change something."""
        return SourceError(
            f"{self.address.name}: the query writes, and everything is read in a read-only transaction", hint=_READ_HINT
        )

    def refused(self, said: str, *, hint: str = "try the query in the database's own shell") -> SourceError:
        """Word that the database refuses."""
        return SourceError(f"{self.address.name}: {self.address.scrubbed(said)}", hint=hint)

    def unavailable(self, said: str) -> SourceUnavailableError:
        """Word that the database cannot be reached, or went away."""
        return SourceUnavailableError(
            f"{self.address.name} cannot be reached: {self.address.scrubbed(said)}",
            hint="nothing was sent; look at host, port and network, or run again later",
        )

    def too_slow(self, timeout_s: float | None) -> SourceError:
        """Word that the database stopped the query because of its time."""
        ours = f" of {timeout_s:g} s" if timeout_s is not None else ", which the database itself sets"
        return SourceError(
            f"{self.address.name}: the query ran longer than the statement timeout{ours}",
            hint="raise `statement_timeout:`, read less at a time, or add an index",
        )


def repeated_columns(engine: Server, repeats: Mapping[str, list[int]]) -> None:
    """Refuse a query that gives two columns one name."""
    for name, places in repeats.items():
        raise engine.refused(
            f"the query gives {name!r} more than once, as columns {' and '.join(map(str, places))}",
            hint="name each column once, with `as` where two tables share a name",
        )


def without_values(said: str) -> str:
    """Return what a database says up to the first value that it quotes."""
    line = said.strip().splitlines()[0] if said.strip() else "no reason given"
    kept = re.split(r"[\"'`«“(]|: (?=\S+$)", line, maxsplit=1)[0].rstrip(" :=")
    return line if kept == line else f"{kept} ... (the value is not shown)"


def with_names(sql: str, style: str, dialect: SqlDialect) -> str:
    """Spell each parameter as `style` says."""
    return with_parameters(sql, style.format, dialect)
