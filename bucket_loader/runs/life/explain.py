"""`explain`: a life gathered, told on the screen, and written as a page."""

from pathlib import Path
from typing import Any

from bucket_loader.model import UsageError, written_whole
from bucket_loader.reporting import Note, page_of, tell_life
from bucket_loader.runs.job import Job
from bucket_loader.runs.life.life import life_of
from bucket_loader.runs.life.sought import Sought


def explain_row(job: Job, sought: Sought, *, now: bool, page: Path | None, is_told: bool) -> dict[str, Any]:
    """Return all that is known of what is sought, as `--json` prints it.

    Args:
        job: where it is looked for, and which streams.
        sought: what is sought.
        now: whether the source is read afresh.
        page: where a page of it is written; None for nowhere.
        is_told: whether a person reads it on the screen.

    Raises:
        BucketLoaderError: the state or the source cannot be read, or the page cannot be written.
    """
    life = life_of(job, sought, now=now)
    if is_told:
        tell_life(job.listener, life)
    if page is not None:
        _write(page, page_of(life))
        job.listener.tell(Note(f"written to {page}"))
    return life.as_json()


def _write(page: Path, text: str) -> None:
    """Write a page; it holds row data, so it is for its owner alone."""
    try:
        with written_whole(page) as file:
            file.write(text.encode())
    except OSError as error:
        raise UsageError(f"cannot write {page}: {error.strerror}", hint="give another --html FILE") from None
