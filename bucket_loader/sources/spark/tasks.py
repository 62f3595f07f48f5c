"""Functions as tasks of Spark: one value a task, and what comes of each comes back.

    values --a file, never a secret--> tasks, on whatever machine --what came of each--> the caller, in their order

Spark may run a task twice: its machine was lost, or it was slow and a copy of it was started. So a function writes
files under a name of its own, and returns it; a file that nobody was told of does not exist.
"""

import io
import pickle
import secrets
import shutil
import socket
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bucket_loader.model import BucketLoaderError, SourceError
from bucket_loader.sources.spark.session import spark_errors, spark_session

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

Value = TypeVar("Value")
Result = TypeVar("Result")
Task = Callable[[Iterator["pa.RecordBatch"]], Iterator["pa.RecordBatch"]]
_LOOKED_EVERY_S: Final = 0.2
_COLUMNS: Final = "number long, outcome binary"


def _nobody_waits() -> None:
    """Do nothing: nobody can end the wait."""


@dataclass(frozen=True)
class SparkTasks:
    """Functions as tasks of the Spark session.

    Attributes:
        folder: where their files go, as long as the plan is made; every machine of Spark has to see it.
        look: called now and then while Spark works; ends the work by raising.
    """

    folder: Path
    look: Callable[[], None] = _nobody_waits

    def map(self, function: Callable[[Value], Result], values: Sequence[Value]) -> list[Result]:
        """Return what a function makes of each value, in their order.

        Args:
            function: of a module, so that it can be found there as well; a second call of it does no harm.
            values: what pickles and holds no secret.

        Raises:
            BucketLoaderError: the function's own, of the first value that it refuses; Spark cannot do it.
        """
        if not values:
            return []
        spelt = [_pickled(value) for value in values]
        with self.place(spelt) as place:
            task = _Task(place, _pickled(function), tuple(accumulate(map(len, spelt), initial=0)))
            return self.outcomes(spark_session().range(0, len(values), 1, len(values)), task)

    def outcomes(self, frame: "DataFrame", task: "Task") -> list[Any]:
        """Return what a task makes of each partition of a DataFrame, in their order: little each."""
        session, tag = frame.sparkSession, f"bucket-loader-{secrets.token_hex(8)}"

        def collected() -> list[tuple[int, bytes]]:
            session.addTag(tag)  # a tag is a thread's
            return [(row[0], row[1]) for row in frame.mapInArrow(task, _COLUMNS).collect()]

        with ThreadPoolExecutor(1) as threads, spark_errors("Spark could not finish its tasks"):
            future = threads.submit(collected)
            try:
                while not wait([future], timeout=_LOOKED_EVERY_S).done:
                    self.look()
            except BaseException:
                session.interruptTag(tag)
                raise
            found = sorted(future.result())
        return [_outcome(spelt).result() for _, spelt in found]

    def clear(self) -> None:
        """Remove their files: a task that was given up and runs on finds no folder to write to."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def place(self, values: Iterable[bytes] = ()) -> Iterator["Place"]:
        """Return what tells a task where it writes, as long as it is needed; and where it finds its value."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        mark = self.folder / f".seen-{secrets.token_hex(8)}"
        with mark.open("wb") as file:
            file.writelines(values)
        try:
            yield Place(mark, _version())
        finally:
            mark.unlink(missing_ok=True)


def _outcome(spelt: bytes) -> "_Outcome":
    outcome: _Outcome = pickle.loads(spelt)  # noqa: S301  # our own task wrote it
    return outcome


def _version() -> str:
    try:
        return version("bucket-loader")
    except PackageNotFoundError:  # it was copied there
        return ""


# --- what travels ----------------------------------------------------------------------------------------------------


class _Pickler(pickle.Pickler):
    """Pickles what may travel: Spark writes it to disks, and shows some of it on a page."""

    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401  # whatever there is
        """Refuse a secret, however deep it stands."""
        if hasattr(type(obj), "get_secret_value"):
            raise TypeError("a secret would travel to Spark")
        return NotImplemented


def _pickled(value: object) -> bytes:
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


@dataclass(frozen=True)
class _Outcome:
    """What came of a value: what was made of it, or our error that says why nothing was."""

    made: Any = None
    error: BucketLoaderError | None = None

    def result(self) -> Any:  # noqa: ANN401  # whatever the function returns
        """Return what was made, or raise."""
        if self.error is not None:
            raise self.error
        return self.made


@dataclass(frozen=True)
class Place:
    """Where tasks write, and what a machine needs to be one that they can run on.

    Attributes:
        mark: a file in the folder, which a machine has to see: the values of the tasks, one behind the other.
        version: of the caller.
    """

    mark: Path
    version: str

    def folder(self) -> Path:
        """Return the folder, on a machine of Spark.

        Raises:
            SourceError: the machine is not one that can do its part.
        """
        host, here = socket.gethostname(), _version()
        if "" not in {here, self.version} and here != self.version:
            raise SourceError(
                f"{host} has bucket-loader {here}, and the caller has {self.version}",
                hint="install the same version on every machine of Spark",
            )
        if not self.mark.exists():
            raise SourceError(
                f"{host} does not see {self.mark.parent}, where the plan is written",
                hint="give --state a folder that every machine of Spark sees under the same path, and postgresql://... "
                "for its ledger",
            )
        return self.mark.parent


@dataclass(frozen=True)
class _Task:
    """A function, and where each partition finds its value: a machine is sent no other's.

    Attributes:
        place: has the file of the values.
        function: the function, pickled.
        starts: where the value of each partition begins in the file, and where the last one ends.
    """

    place: Place
    function: bytes
    starts: Sequence[int]

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield pickled_outcome(number, partial(self._made, number))

    def _made(self, number: int) -> Any:  # noqa: ANN401  # whatever the function returns
        self.place.folder()
        with self.place.mark.open("rb") as file:
            file.seek(self.starts[number])
            value = file.read(self.starts[number + 1] - self.starts[number])
        return pickle.loads(self.function)(pickle.loads(value))  # noqa: S301  # the caller wrote both


class TaskFailedError(Exception):
    """Something went wrong in a task; says what kind of thing, and where, and no value of a row."""


def pickled_outcome(number: int, made: Callable[[], Any]) -> "pa.RecordBatch":
    """Return what comes of a task as the row that it gives back.

    Raises:
        TaskFailedError: what went wrong is none of our errors; Spark tries it again.
    """
    import pyarrow as pa

    try:
        outcome = _Outcome(made())
    except BucketLoaderError as error:
        outcome = _Outcome(error=error)
    except Exception as error:  # noqa: BLE001  # Spark logs what leaves a task, and libraries quote values of rows
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise TaskFailedError(f"{type(error).__name__} in {place.filename}, line {place.lineno}") from None
    return pa.record_batch([pa.array([number]), pa.array([pickle.dumps(outcome)], pa.binary())], ["number", "outcome"])
