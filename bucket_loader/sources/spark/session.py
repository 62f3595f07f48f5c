"""The Spark session that is worked with, and what Spark says when something goes wrong. Needs the extra `spark`."""

import os
import re
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bucket_loader.model import SourceError, SourceUnavailableError, UsageError

if TYPE_CHECKING:
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

_NAMES: Final = ("relationName", "tableName", "objectName", "fieldName", "proposal", "routineName")
"""What Spark says of a mistake that is a name, and never a value of a row."""


def is_spark_frame(table: object) -> bool:
    """Whether a table is a DataFrame of Spark, in this process or by Spark Connect."""
    return type(table).__module__.startswith("pyspark.sql.") and hasattr(table, "mapInArrow")


def spark_session() -> "SparkSession":
    """Return the session: the active one; else the one that SPARK_REMOTE names; else a new one, local by default.

    A new one stays as long as the process: it is the process's only one, as Spark has it.

    Raises:
        UsageError: Spark is not installed.
        SourceUnavailableError: it cannot be reached, or does not start.
    """
    if find_spec("pyspark") is None:
        raise UsageError("Spark is not installed", hint="pip install 'bucket-loader[spark]'; it needs Java 17 as well")
    # Said at every start. The loader uses no pandas of Spark's, and its own tests run with these versions.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # a local session's tasks; elsewhere its own setting wins
    from pyspark.sql import SparkSession

    with _own_interrupts(), spark_errors("Spark cannot be reached, or does not start"):
        if (active := SparkSession.getActiveSession()) is not None:
            return active
        _require_server(os.environ.get("SPARK_REMOTE", ""))
        return SparkSession.builder.appName("bucket-loader").getOrCreate()


def _require_server(remote: str) -> None:
    """Look whether a server of Spark Connect is there: its client would ask for ten minutes, and say nothing.

    Raises:
        SourceUnavailableError: nothing answers at its address.
    """
    address = urlsplit(remote)
    if address.scheme != "sc" or not address.hostname or any(os.environ.get(name) for name in _PROXIES):
        return
    host, port = address.hostname, address.port or _PORT
    try:
        socket.create_connection((host, port), _ANSWER_S).close()
    except OSError as error:
        raise SourceUnavailableError(
            f"no server of Spark Connect answers at {host}:{port}: {error.strerror or error}",
            hint="look at SPARK_REMOTE, and whether the server is up; nothing was sent",
        ) from None


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Keep what a Ctrl-C does here: a new session would take it."""
    kept = signal.getsignal(signal.SIGINT)
    if kept is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, kept)


@contextmanager
def spark_errors(what: str) -> Iterator[None]:
    """Say in our words what Spark says in its own, which may hold values of rows.

    Raises:
        SourceError: Spark refuses what it is asked for.
        SourceUnavailableError: it cannot do it now.
    """
    from pyspark.errors import PySparkException

    try:
        with _silent_loggers():
            yield
    except PySparkException as error:
        if (error.getSqlState() or "")[:2] in _REFUSED:
            raise SourceError(f"{what}: {_shown(error)}", hint="try it in Spark's own shell") from None
        if _LACKING in str(error):
            raise SourceError("a machine of Spark lacks bucket-loader", hint="install it on each of them") from None
        raise SourceUnavailableError(f"{what}: {_shown(error)}", hint=_LOOK) from None
    except _unreached() as error:
        raise SourceUnavailableError(f"{what}: {type(error).__name__}", hint=_LOOK) from None


@contextmanager
def _silent_loggers() -> Iterator[None]:
    """Let Spark's client write no error on stderr: a query's error quotes the row that it stumbled over."""
    from pyspark.logger import PySparkLogger

    loggers = [PySparkLogger.getLogger(name) for name in ("DataFrameQueryContextLogger", "SQLQueryContextLogger")]
    kept = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        yield
    finally:
        for logger, disabled in zip(loggers, kept, strict=True):
            logger.disabled = disabled


_REFUSED: Final = ("22", "42")  # SQL's own classes: wrong data, wrong words
_LACKING: Final = "No module named 'bucket_loader'"
_PORT: Final = 15002  # of Spark Connect
_ANSWER_S: Final = 10.0
_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy")  # by which gRPC would go
_TASK: Final = re.compile(r"TaskFailedError: (\w+ in [^\n]+?, line \d+)")
_LOOK: Final = "Spark's log says more; nothing was sent, and running again plans anew"


def _shown(error: "PySparkException") -> str:
    """Return the kind of an error, and the names in it; of a task that failed what it said itself."""
    if (found := _TASK.search(str(error))) is not None:
        return f"{found[1]} in a task"
    given = error.getMessageParameters() or {}
    names = "; ".join(given[name] for name in _NAMES if given.get(name))
    return f"{error.getCondition() or type(error).__name__}{f' ({names})' if names else ''}"


def _unreached() -> tuple[type[Exception], ...]:
    """Return the errors of the way to a session; a client of Spark Connect alone has no `py4j`."""
    if find_spec("py4j") is None:
        return (ConnectionError,)
    from py4j.protocol import Py4JError

    return (ConnectionError, Py4JError)
