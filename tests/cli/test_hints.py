"""The commands that messages name: each can be pasted into a shell."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest
from workplace import COMPANIES

from bucket_loader import cli
from bucket_loader.cli.commands import main

PACKAGE = Path(cli.__file__).parents[1]
COMMAND = re.compile(r"`(bucket-loader [a-z-][^`]*)`")
ROWS = "id,name\n1,a\n2,b\n"
HELD = """
- name: events
  record: event
  source: {type: csv, path: accounts.csv}
  fields: {userId: id, event: {value: e}, timestamp: {value: "2026-01-01T00:00:00Z"}}
  on_unknown: hold
"""


def texts(node):
    """Yield the texts in a file's code, without what is filled into them."""
    for one in ast.walk(node):
        if isinstance(one, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "" for part in one.values)
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def named():
    """Return every command that the package's texts name, with the file."""
    found = set()
    files = ((file, file.read_text("utf-8")) for file in PACKAGE.rglob("*.py"))
    for file, source in files:
        for text in texts(ast.parse(source)) if "`bucket-loader " in source else ():
            found |= {(file.name, command) for command in COMMAND.findall(text.replace("\n", " "))}
    return sorted(found)


@pytest.mark.parametrize(("file", "command"), named())
def test_a_command_that_is_named_exists(file, command):
    """And so do its options, with what they take."""
    found, words = main, shlex.split(command)[1:]
    while words and isinstance(found, click.Group) and words[0] in found.commands:
        found = found.commands[words.pop(0)]

    assert found is not main or words == ["--help"], file
    options = {"resilient_parsing": True, "help_option_names": ["-h", "--help"]}  # click keeps the first names it sees
    found.make_context(found.name, [word for word in words if word != "--help"], **options)


def test_a_hint_names_the_pipeline_the_state_and_the_run(workplace, monkeypatch):
    """It can be pasted as it stands, also where a name has a blank; a program reads the same."""
    monkeypatch.chdir(workplace.folder)
    workplace.write("accounts.csv", ROWS)
    workplace.pipeline(COMPANIES)
    (workplace.folder / "pipeline.yaml").rename(workplace.folder / "my night.yaml")

    told = workplace.command_of("abandon", "my night.yaml", "20200101T000000000Z", "--state", "the state")
    by_variable = workplace.command_of("abandon", "my night.yaml", "2020", "--json", BUCKET_LOADER_STATE="the state")

    assert told.stderr.endswith(
        "\n  hint: `bucket-loader status 'my night.yaml' --state 'the state'` lists them\n"
    )  # fmt: skip
    assert by_variable.summary["error"]["hint"] == "`bucket-loader status 'my night.yaml'` lists them"
    (command,) = COMMAND.findall(told.stderr)
    assert workplace.command_of(*shlex.split(command)[1:]).exit_code == 0


def test_what_is_next_can_be_pasted(workplace, emulator):
    """Of what is held, with the pipeline's path; of an unfinished run in `status`, with its name."""
    workplace.write("accounts.csv", ROWS)
    file = workplace.pipeline(HELD)
    emulator.faults({"kind": "cut_after", "times": 1})

    ran, status = workplace.command("run"), workplace.command("status")

    path = shlex.quote(str(file))
    assert f"`bucket-loader release {path} --all --dry-run`" in ran.stderr
    run = re.search(r"run (\d+T\d+Z) is unfinished", status.stderr)[1]
    assert f"`bucket-loader abandon {path} {run}` closes it" in status.stderr
    assert workplace.command_of("release", str(file), "--all", "--dry-run").exit_code == 0
