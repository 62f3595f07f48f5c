"""Hold an assert file against a rehearsal: everything in it, and all differences at once."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bucket_loader.config import Assertions
from bucket_loader.model import RejectedRowsError, UsageError
from bucket_loader.reporting import AssertionsEnded, Summary
from bucket_loader.runs.asserting.bucket import Bucket
from bucket_loader.runs.asserting.features import check_features
from bucket_loader.runs.asserting.findings import Findings, Place
from bucket_loader.runs.asserting.records import check_records
from bucket_loader.runs.asserting.rows import check_counts, check_rejected
from bucket_loader.runs.asserting.subjects import check_subjects

_FINISHED: Final = ("succeeded", "rejected", "empty")


def definitions_of(assertions: Assertions | None, given: Any) -> Any:  # noqa: ANN401  # JSON
    """Return the features that are to be defined: those of the command line, else those of the assert file, else None.

    Raises:
        UsageError: the file says something of features and defines none, or names a file that cannot be read.
    """
    if given is not None or assertions is None:
        return given
    found = assertions.expected.definitions
    if found is None and assertions.expected.features:
        line = assertions.line("features")
        raise UsageError(
            f"{assertions.file}:{line}: features are expected, and none is defined",
            hint="give --features FILE, or write `definitions: features.json`: the body of GET /features",
        )
    if not isinstance(found, str):
        return found
    file = assertions.file.parent / found
    try:
        return json.loads(file.read_text("utf-8"))
    except OSError as error:
        problem = error.strerror
    except ValueError as error:
        problem = f"it is not JSON: {error}"
    raise _wrong_path(assertions, ("definitions",), f"cannot read {file}: {problem}")


def fixtures_of(assertions: Assertions, folder: Path) -> Mapping[str, Path]:
    """Return the fixtures of an assert file; rows that are written in it are put into files of a folder.

    Raises:
        UsageError: one is not there.
    """
    found: dict[str, Path] = {}
    for name, given in assertions.expected.sources.items():
        if isinstance(given, str):
            found[name] = assertions.file.parent / given
            if not found[name].is_file():
                raise _wrong_path(assertions, ("sources", name), f"there is no fixture {found[name]}")
        else:
            found[name] = folder / f"{name}.jsonl"
            found[name].write_text("".join(json.dumps(row) + "\n" for row in given), "utf-8")
    return found


def _wrong_path(assertions: Assertions, place: Place, message: str) -> UsageError:
    where = f"{assertions.file}:{assertions.line(*place)}"
    return UsageError(f"{where}: {message}", hint="paths start from the assert file")


def check(assertions: Assertions, bucket: Bucket, summary: Summary) -> AssertionsEnded | None:
    """Return what came of it; None where the run did not finish, so that there is nothing to hold it against.

    Raises:
        UsageError: a context is none that the API takes.
    """
    if summary.status not in _FINISHED:
        return None
    bucket.end_faults()
    findings = Findings(assertions)
    check_counts(findings, bucket, summary)
    check_subjects(findings, bucket)
    check_records(findings, bucket)
    check_rejected(findings, summary)
    check_features(findings, bucket)
    failed = tuple(sorted(findings.failed, key=lambda one: one.line))
    exit_code = RejectedRowsError.exit_code if failed else as_expected(summary).exit_code
    return AssertionsEnded(str(assertions.file), findings.checked, failed, exit_code)


def as_expected(summary: Summary) -> Summary:
    """Return the summary of a run whose rejected rows are all expected: it succeeded."""
    return replace(summary, status="succeeded", exit_code=0) if summary.status == "rejected" else summary
