"""Write the parts of the docs that come from the code: `python docs/make.py`.

A test holds the committed files against it.
"""

import json
from pathlib import Path

import click
from error_pages import errors

from bucket_loader.cli.commands import main
from bucket_loader.config.assert_file import assert_schema
from bucket_loader.config.yaml_file import json_schema
from bucket_loader.delivery.course import next_step

FOLDER = Path(__file__).parent


def command_line() -> str:
    """Return `cli.md`: every command's own help."""
    parts = [
        "# The command line\n",
        "Every command's `--help`, as it prints it. This page is made by `python docs/make.py`.\n",
        _section("bucket-loader", main),
    ]
    for name, command in sorted(main.commands.items()):
        parts.append(_section(f"bucket-loader {name}", command))
        if isinstance(command, click.Group):
            parts += [_section(f"bucket-loader {name} {one}", found) for one, found in sorted(command.commands.items())]
    return "\n".join(parts)


def _section(name: str, command: click.Command) -> str:
    widths = {"max_content_width": 100, "terminal_width": 100}
    context = click.Context(command, info_name=name, help_option_names=["-h", "--help"], **widths)
    return f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"


def schema() -> str:
    """Return `pipeline.schema.json`: what editors check a pipeline file against."""
    return json.dumps(json_schema(), indent=2) + "\n"


def tests_schema() -> str:
    """Return `assert.schema.json`: what editors check the test of a pipeline against."""
    return json.dumps(assert_schema(), indent=2) + "\n"


def delivery() -> str:
    """Return `delivery.md` with the table of verdicts that stands at the function which decides what follows."""
    before, _, rest = (FOLDER / "delivery.md").read_text("utf-8").partition(f"{_VERDICTS}\n")
    _, _, after = rest.partition(f"{_VERDICTS_END}\n")
    rows = [line.strip() for line in (next_step.__doc__ or "").splitlines() if line.strip().startswith("|")]
    return "".join([before, f"{_VERDICTS}\n", *(f"{row}\n" for row in rows), f"{_VERDICTS_END}\n", after])


_VERDICTS, _VERDICTS_END = "<!-- verdicts -->", "<!-- /verdicts -->"
PAGES = {
    "delivery.md": delivery,
    "cli.md": command_line,
    "errors.md": errors,
    "pipeline.schema.json": schema,
    "assert.schema.json": tests_schema,
}


if __name__ == "__main__":
    for page, make in PAGES.items():
        (FOLDER / page).write_text(make(), "utf-8")
