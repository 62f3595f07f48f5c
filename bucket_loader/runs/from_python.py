"""The Python door: `load` a pipeline, or a DataFrame, with the engine and the guarantees of the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucket_loader.config import load_pipeline, pipeline_from
from bucket_loader.model import UsageError
from bucket_loader.reporting import Summary, on_stderr
from bucket_loader.runs.job import OPTIONS, make_job, read_options
from bucket_loader.runs.run import run_job

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def load(
    what: "str | Path | pd.DataFrame | pa.Table",
    *,
    destination: Mapping[str, Any] | None = None,
    name: str = "dataframe",
    quiet: bool = True,
    **words: Any,  # noqa: ANN401  # a stream's words and a run's, each checked by its model
) -> Summary:
    """Load a pipeline file, or a DataFrame, into Bucket.

    Args:
        what: the path of a pipeline file; or a pandas DataFrame or pyarrow Table, which is one stream.
        destination: where to: `base_url`, `key` and the rest of the pipeline file's `destination:`. A key is given as
            it is, from wherever the caller keeps it. With a pipeline file these stand in place of the file's own.
        name: with a DataFrame, the pipeline's and the stream's name; its memory belongs to it.
        quiet: whether to say nothing on stderr but what went wrong.
        words: with a DataFrame, a stream's words (`record`, `fields`, `key`, `where`, `sync` ...); with either, a run's
            (`as_of`, `interval`, `limit`, `full`, `state`, `allow_rejected` ...; see `RunOptions`).

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
        stream = {"name": name, "source": {"type": "frame", "frame": what}, **words}
        pipeline = pipeline_from({"name": name, "destination": dict(destination or {}), "streams": [stream]})
    return run_job(make_job(pipeline, options, on_stderr(quiet=quiet), file=file))
