"""The rows that the last check of a pipeline rejected: a file that stays, so that a person can look into it."""

import shutil
from pathlib import Path

from bucket_loader.config import Pipeline
from bucket_loader.model import make_folder, written_whole
from bucket_loader.state.identity import Identity
from bucket_loader.state.layout import StateLayout
from bucket_loader.state.location import StatePlace


def keep_checked(pipeline: Pipeline, place: StatePlace, rejected: Path) -> Path | None:
    """Keep the rows that a check rejected in place of those of the check before; None where it rejected none.

    Raises:
        OSError: the disk refuses.
    """
    kept = StateLayout(place.folder / Identity.of(pipeline).folder).checked
    if not rejected.exists():
        kept.unlink(missing_ok=True)
        return None
    make_folder(kept.parent)
    with rejected.open("rb") as source, written_whole(kept) as file:
        shutil.copyfileobj(source, file)
    return kept.absolute()
