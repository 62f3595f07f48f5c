"""What the command line says of itself: help in groups, and what shells complete."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bucket_loader.cli.commands import main
from bucket_loader.cli.group import FAMILIES

PROGRAM = str(Path(sys.executable).with_name("bucket-loader"))
STREAMS = "name: n\nstreams:\n  - {name: users}\n  - {name: usage}\n"


def test_no_word_at_all_asks_for_help():
    """It is printed on stdout, and that is no mistake."""
    bare, asked = (CliRunner().invoke(main, words) for words in ([], ["--help"]))

    assert (bare.exit_code, bare.stderr) == (0, "")
    assert bare.stdout == asked.stdout


def test_every_command_stands_in_one_group():
    """In the order in which a person comes to need them."""
    printed = CliRunner().invoke(main, ["--help"]).stdout
    titles = re.findall(r"^(\w.*):$", printed, flags=re.MULTILINE)
    listed = re.findall(r"^  ([a-z]+)  ", printed, flags=re.MULTILINE)

    assert titles == ["Options", *FAMILIES, "Environment variables", "Exit codes"]
    assert sorted(listed) == sorted(main.commands)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_help_fits_its_width(width):
    """But for the examples, which are there to be copied."""
    printed = CliRunner().invoke(main, ["--help"], terminal_width=width).stdout
    before, _, after = printed.partition("  A first evening:")

    assert [line for line in (before + after.partition("\n\n")[2]).splitlines() if len(line) > width] == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["rele"], ["release"]),
        (["run", ""], ["n.yaml"]),
        (["run", "n.yaml", "--stream", "us"], ["users", "usage"]),
        (["run", "--log-format", ""], ["text", "json"]),
        (["run", "--patie"], ["--patience"]),
    ],
)
def test_what_is_completed(words, offered, tmp_path, monkeypatch):
    """Commands, options, choices, pipeline files and streams; other files of the folder are no pipelines."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.yaml").write_text(STREAMS)
    (tmp_path / "other.yaml").write_text("a: 1\n")
    asked = {"_BUCKET_LOADER_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words))}
    variables = asked | {"COMP_WORDS": " ".join(["bucket-loader", *words])}

    result = CliRunner().invoke(main, [], env=variables, prog_name="bucket-loader")

    assert [line.partition(",")[2] for line in result.stdout.splitlines()] == offered


def test_a_shell_completes_with_what_is_printed(tmp_path):
    """Bash, with the line that the script itself names for `~/.bashrc`."""
    script = subprocess.run([PROGRAM, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    assert "echo 'eval \"$(bucket-loader completion bash)\"' >> ~/.bashrc" in script
    (tmp_path / "n.yaml").write_text(STREAMS)
    asked = 'COMP_WORDS=(bucket-loader run n); COMP_CWORD=2; _bucket_loader_completion bucket-loader; echo "$COMPREPLY"'
    path = f"{Path(PROGRAM).parent}{os.pathsep}{os.environ['PATH']}"

    shell = subprocess.run(
        [shutil.which("bash"), "-c", f'eval "$(bucket-loader completion bash)"; {asked}'],
        capture_output=True, text=True, check=True, cwd=tmp_path, env={**os.environ, "PATH": path},
    )  # fmt: skip

    assert (shell.stdout, shell.stderr) == ("n.yaml\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_words_to_install(shell):
    """They are in the help, and in the script."""
    printed, shown = (CliRunner().invoke(main, ["completion", word]).stdout for word in (shell, "--help"))
    line = printed.splitlines()[1].removeprefix("#   ")

    assert f"completion {shell}" in line
    assert line in shown
