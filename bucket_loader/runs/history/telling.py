"""The past as it is told: rows for a person, CSV or JSON for a program; and the last runs, when nothing is asked."""

import csv
import json
from itertools import islice
from typing import Any, Final, Literal, TextIO

from bucket_loader.model import read_time
from bucket_loader.reporting import Listener, Note, PastRun, QueryResult, RunsListed, Trend
from bucket_loader.runs.history.asking import Answer, asked
from bucket_loader.runs.history.tables import LAST_RUNS
from bucket_loader.runs.job import Job

Format = Literal["table", "csv", "json"]
ROWS_MAX: Final = 1_000  # that a person is shown


def tell_history(job: Job, sql: str | None, form: Format, stdout: TextIO) -> None:
    """Answer a query over the pipeline's past, or show the last runs; a table goes to the job's listener.

    Raises:
        BucketLoaderError: the query cannot be answered, or the state not be read.
    """
    with asked(job, LAST_RUNS if sql is None else sql) as answer:
        match form:
            case "csv":
                _write_csv(answer, stdout)
            case "json":
                _write_json(answer, stdout)
            case _ if sql is None:
                _tell_runs(answer, job.listener)
            case _:
                _tell_rows(answer, job.listener)


# --- for a program -----------------------------------------------------------------------------------------------


def _write_csv(answer: Answer, stdout: TextIO) -> None:
    writer = csv.writer(stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(map(_text, answer.rows))


def _text(row: tuple[Any, ...]) -> list[str]:
    return ["" if value is None else value if isinstance(value, str) else json.dumps(value) for value in row]


def _write_json(answer: Answer, stdout: TextIO) -> None:
    """Write one object, its rows as they come."""
    stdout.write('{"rows": [')
    for number, row in enumerate(answer.rows):
        stdout.write(", " if number else "")
        stdout.write(json.dumps(dict(zip(answer.columns, row, strict=True))))
    stdout.write("]}\n")


# --- for a person ------------------------------------------------------------------------------------------------


def _tell_rows(answer: Answer, listener: Listener) -> None:
    shown = tuple(tuple(map(_cell, row)) for row in islice(answer.rows, ROWS_MAX))
    more = sum(1 for _ in answer.rows)
    listener.tell(QueryResult(answer.columns, shown, answer.numbers, more))


def _cell(value: Any) -> str:  # noqa: ANN401  # JSON of any shape
    match value:
        case None:
            return ""
        case str():
            return value.replace("\n", "\\n")
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case float():
            return f"{value:,.3f}" if abs(value) >= 1 else f"{value:.3g}"
        case _:
            return json.dumps(value)


def _tell_runs(answer: Answer, listener: Listener) -> None:
    runs = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    if not runs:
        listener.tell(Note("no run yet"))
        return

    def trend(name: str) -> tuple[float | None, ...]:
        return tuple(run[name] for run in reversed(runs))

    trends = (
        Trend("delivered", trend("delivered")), Trend("rejected", trend("rejected")),
        Trend("took", trend("seconds"), unit="seconds"),
    )  # fmt: skip
    listener.tell(RunsListed("run", tuple(map(_past, runs)), trends))


def _past(run: dict[str, Any]) -> PastRun:
    began = None if run["created_at"] is None else read_time(run["created_at"])
    return PastRun(run["run"], run["status"], began, run["seconds"], run["delivered"], run["rejected"], run["pending"])
