"""The Python door: `load` a pipeline, or a DataFrame, with the engine and the guarantees of the command line."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.config import Pipeline, load_pipeline, pipeline_from
from bucket_loader.model import UsageError
from bucket_loader.reporting import Summary, on_stderr
from bucket_loader.runs.job import OPTIONS, make_job, read_options
from bucket_loader.runs.run import run_job

_UNNAMED: Final = "dataframe"
_OF_A_PIPELINE: Final[tuple[str, ...]] = (
    "arrays",
    "keep",
    "on_truncation",
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def load(
    what: "str | Path | pd.DataFrame | pa.Table",
    *,
    destination: Mapping[str, Any] | None = None,
    name: str | None = None,
    quiet: bool = True,
    **words: Any,  # noqa: ANN401  # a stream's words and a run's, each checked by its model
) -> Summary:
    """Load a pipeline file, or a DataFrame, into Bucket.

    Args:
        what: the path of a pipeline file; or a pandas DataFrame or pyarrow Table, which is one stream.
        destination: where to: `base_url`, `key` and the rest of the pipeline file's `destination:`. A key is given as
            it is, from wherever the caller keeps it. With a pipeline file these stand in place of the file's own.
        name: with a DataFrame, the pipeline's and the stream's name; its memory belongs to it. Without one, a stream
            that remembers (`sync: append` or `changes`, which most kinds have by themselves) is for this DataFrame
            alone: another one is refused.
        quiet: whether to say nothing on stderr but what went wrong.
        words: with a DataFrame, a stream's words (`record`, `fields`, `key`, `where`, `sync` ...), and `arrays` and
            `on_truncation`, which say how lists are sent, and `keep`; with either, a run's words (`as_of`, `interval`,
            `limit`, `full`, `state`, `allow_rejected` ...; see `RunOptions`).

    Returns:
        The summary, whatever came of the run; look at `exit_code` or call `raise_for_status()`.

    Raises:
        BucketLoaderError: nothing could be sent: a mistake in the words, the source or the state.
    """
    options = read_options({name: words.pop(name) for name in list(words) if name in OPTIONS and name != "streams"})
    if isinstance(what, (str, Path)):
        if words:
            raise UsageError(f"a pipeline file takes no {', '.join(sorted(words))}", hint="write it in the file")
        file = Path(what)
        pipeline = load_pipeline(file, destination=destination)
    else:
        file = None
        pipeline = _of_a_frame(what, _UNNAMED if name is None else name, destination, words)
    job = make_job(pipeline, options, on_stderr(quiet=quiet), file=file)
    return run_job(replace(job, in_host=True, unnamed=file is None and name is None))


def _of_a_frame(
    frame: "pd.DataFrame | pa.Table", name: str, destination: Mapping[str, Any] | None, words: Mapping[str, Any]
) -> Pipeline:
    """Return the pipeline of one stream, which reads a DataFrame."""
    of_all = {word: words[word] for word in _OF_A_PIPELINE if word in words}
    of_stream = {word: given for word, given in words.items() if word not in of_all}
    stream = {"name": name, "source": {"type": "frame", "frame": frame}, **of_stream}
    return pipeline_from({"name": name, "destination": dict(destination or {}), "streams": [stream], **of_all})
