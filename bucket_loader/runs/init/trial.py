"""Trying a first pipeline file on the sample, as `check` does: what stands in its way, and which rows it rejects."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bucket_loader.config import load_pipeline
from bucket_loader.model import BucketLoaderError, ConfigError, UsageError
from bucket_loader.planning import Plan
from bucket_loader.runs.checking.sample import Sample, planned_sample
from bucket_loader.runs.init.evidence import SAMPLE_ROWS
from bucket_loader.runs.inspect import counts_of
from bucket_loader.runs.job import RunOptions, make_job
from bucket_loader.state import REJECTED, dead_letters

# Nothing is sent, so that neither is ever used.
_NOWHERE: Final = {"base_url": "https://front.bucket.co", "key": "sec_of_nobody_0123456789"}
_SHOWN_MAX: Final = 5


@dataclass(frozen=True)
class Trial:
    """What came of it.

    Attributes:
        problem: what no row gets past; None when there is nothing.
        rejected: sentences about the rows that are rejected.
        share: which part of the rows that a stream reads is rejected, where most are.
    """

    problem: BucketLoaderError | None = None
    rejected: tuple[str, ...] = ()
    share: float = 0.0


class _Nobody:
    """A listener that nobody sits behind."""

    period_s = None

    def tell(self, event: object) -> None:
        """Do nothing."""


def _share(planned: Plan) -> float:
    return max((counts.rejected / counts.read for counts in counts_of(planned).values() if counts.read), default=0.0)


def tried(text: str, variables: Mapping[str, str]) -> Trial:
    """Map the sample as a pipeline file says.

    Args:
        text: the file.
        variables: what it refers to, beside the environment.
    """
    try:
        with TemporaryDirectory(prefix="bucket_loader-") as folder:
            file = Path(folder) / "pipeline.yaml"
            file.write_text(text, "utf-8")
            pipeline = load_pipeline(file, variables=os.environ | variables, destination=_NOWHERE)
            job = make_job(pipeline, RunOptions(), _Nobody(), has_key=False)
            with planned_sample(job, Sample(pipeline, limit=SAMPLE_ROWS)) as planned:
                letters = planned.folder / REJECTED
                groups = dead_letters.grouped(letters) if letters.exists() else []
                return Trial(rejected=tuple(map(str, groups[:_SHOWN_MAX])), share=_share(planned))
    except ConfigError as error:  # its file is gone by now
        mistakes = error.mistakes
        found = "; ".join(f"{mistake.path}: {mistake.message}" for mistake in mistakes)
        return Trial(UsageError(found, hint="; ".join(mistake.hint for mistake in mistakes if mistake.hint)))
    except BucketLoaderError as error:
        return Trial(error)
