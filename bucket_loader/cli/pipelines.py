"""The argument PIPELINE, which needs no name where the folder has one pipeline file only; and what shells complete."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import click
from click.shell_completion import CompletionItem

RUN: Final = "run_name"
"""The name of the argument RUN, which follows PIPELINE."""
SUFFIXES: Final = (".yaml", ".yml")


class PipelineFile(click.Path):
    """The path of a pipeline file."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the pipeline files of the folder, else any file."""
        from bucket_loader.config import pipeline_files

        names = [file.name for file in pipeline_files(Path.cwd())]
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return found or super().shell_complete(ctx, param, incomplete)


class PipelineArgument(click.Argument):
    """PIPELINE, before RUN where the command has one. Without it, the only pipeline file of the folder is taken."""

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Find out which of the two a single word is, and which file is meant where there is none."""
        given, name = cast("dict[str, Any]", opts), str(self.name)
        if _is_run(ctx, given.get(name)) and not isinstance(given.get(RUN), str):
            given[RUN] = given.pop(name)
        if not isinstance(given.get(name), str) and not ctx.resilient_parsing:
            given[name] = self.only(ctx)
        return super().handle_parse_result(ctx, given, args)

    def only(self, ctx: click.Context) -> str | None:
        """Return the pipeline file that is meant where none is named."""
        from bucket_loader.config import only_pipeline_file

        return str(only_pipeline_file(Path.cwd(), ctx.command_path))


class AnyPipelineArgument(PipelineArgument):
    """PIPELINE of a command that can tell of all pipelines of a folder."""

    def only(self, _: click.Context) -> str | None:
        """Return the only pipeline file of the folder; None, for all, where there are none or several."""
        from bucket_loader.config import pipeline_files

        files = pipeline_files(Path.cwd())
        return files[0].name if len(files) == 1 else None


def _is_run(ctx: click.Context, word: object) -> bool:
    """Whether a word names a run of a command that takes one, since it is no file and looks like none."""
    takes_run = any(param.name == RUN for param in ctx.command.params)
    return takes_run and isinstance(word, str) and Path(word).suffix not in SUFFIXES and not Path(word).exists()


def stream_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the streams of the pipeline file that was named, or of the only one."""
    from bucket_loader.config import names_of_streams, only_pipeline_file
    from bucket_loader.model import BucketLoaderError

    with contextlib.suppress(BucketLoaderError, OSError):
        file = ctx.params.get("pipeline") or only_pipeline_file(Path.cwd(), ctx.command_path)
        return [CompletionItem(name) for name in names_of_streams(file) if name.startswith(incomplete)]
    return []
