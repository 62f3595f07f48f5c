"""The command `history`: past runs as tables that are asked with SQL. It sends nothing and changes nothing."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bucket_loader.cli.call import Call
from bucket_loader.cli.group import main
from bucket_loader.cli.options import pipeline_argument, state_options
from bucket_loader.cli.words import Word

if TYPE_CHECKING:
    from bucket_loader.runs import Format


class History(click.Command):
    """The command whose help lists the tables."""

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """List the tables with their columns."""
        from bucket_loader.runs import HISTORY_TABLES

        for name, table in HISTORY_TABLES.items():
            with formatter.section(f"Table {name}"):
                formatter.write_text(table.says)
                formatter.write_dl([(column.name, f"{column.says} ({column.type})") for column in table.columns])


@main.command(cls=History)
@pipeline_argument
@click.option("--sql", metavar="QUERY", help="One SELECT of DuckDB over the tables below.")
@click.option("--format", "form", type=Word(["table", "csv", "json"]), default="table", show_default=True,
              help="A table for people, on stderr; or CSV or one JSON object, on stdout.")  # fmt: skip
@state_options
@click.pass_obj
def history(call: Call, /, *, pipeline: Path, sql: str | None, form: "Format", **words: object) -> None:
    """Show the last thirty runs and how they went, or ask all past runs with SQL.

    The tables are made from the ledger and from the dead letters that are still there, here or in the store. It may be
    called while a run goes on, and shows one moment. The query reaches nothing else: no file, no network.

    \b
    Examples:
      bucket-loader history nightly.yaml
      bucket-loader history nightly.yaml --format csv > runs.csv
      bucket-loader history nightly.yaml --sql "describe runs"
      bucket-loader history nightly.yaml --sql "
        select code, field, sum(rows) from rejections group by all order by 3 desc"
      bucket-loader history nightly.yaml --sql "
        select date_trunc('hour', ended_at) as hour, count(*) filter (status = 429) as throttled,
               quantile_cont(seconds, 0.95) as slowest from attempts group by all order by 1"
    """
    from bucket_loader.runs import tell_history

    job = call.job(pipeline, words, needs_key=False)
    tell_history(job, sql, "json" if call.as_json else form, sys.stdout)
