"""A report as a page, and the file that it goes to."""

import os
from pathlib import Path
from typing import Final

from bucket_loader.model import BucketLoaderError, UsageError, wire_now
from bucket_loader.reporting import Document, Report, report_page
from bucket_loader.runs.job import Job
from bucket_loader.runs.report.ending import ending_of_none
from bucket_loader.runs.report.gather import gather
from bucket_loader.runs.report.known import ReportAsked

_SUFFIXES: Final = (".html", ".htm")


def require_report_file(file: Path) -> None:
    """Refuse a file that no report can be written to, before anything is done.

    Raises:
        UsageError: its name is no page's, or its folder is not there.
    """
    if file.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"a report is a page, and {file} does not end with .html", hint="give a name such as run.html")
    folder = file.absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK) or file.is_dir():
        raise UsageError(
            f"the report cannot be written to {file}",
            hint="give a file in a folder that exists, and in which this user may make files",
        )


def report_of(job: Job, asked: ReportAsked) -> Document:
    """Return the report of a run as a page.

    Raises:
        UsageError: there is no such run.
        StateError: the state cannot be read.
    """
    return Document(report_page(gather(job, asked)), has_rows=asked.with_rows)


def report_of_failure(pipeline: str, error: BucketLoaderError) -> Document:
    """Return the report of a command that came to no job: the pipeline file has a mistake."""
    ending = ending_of_none(ReportAsked(None, error=error))
    return Document(report_page(Report(pipeline, run="", environment="", made_at=wire_now(), ending=ending)))
