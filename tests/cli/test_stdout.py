"""A stdout that is closed or full: every command ends as it ends, and shows no traceback."""

import os
import subprocess
import sys

import click
import pytest

from bucket_loader.cli.group import Group

BAD = ["run", "/nowhere.yaml", "--json"]


def ended(words, way):
    """Run a command whose stdout takes nothing; gives its exit code and stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full" if way == "full" else os.devnull, "w") as file:  # noqa: PTH123
        target = {"closed": writing, "full": file, "none": file}[way]
        closing = {"preexec_fn": lambda: os.close(1)} if way == "none" else {}
        result = subprocess.run(
            [sys.executable, "-m", "bucket_loader", *words],
            stdout=target,
            stderr=subprocess.PIPE,
            check=False,
            **closing,
        )
    os.close(writing)
    return result.returncode, result.stderr.decode()


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "code", "way"),
    [
        (["--help"], 0, "closed"),
        (["--help"], 0, "full"),
        (["--help"], 0, "none"),
        (["schema"], 0, "closed"),
        (["schema"], 0, "full"),
        (BAD, 2, "full"),
        (BAD, 2, "none"),
    ],
)
def test_a_stdout_that_takes_nothing_changes_no_exit_code(words, code, way):
    """Help, a command's product and an error's object: what cannot be written is not what happened."""
    found, stderr = ended(words, way)

    assert found == code
    assert "Traceback" not in stderr
    assert ("stdout does not take" in stderr) == (way == "full" and words != ["--help"])
    assert ("error: cannot read the pipeline file" in stderr) == (words == BAD)


def test_a_broken_pipe_elsewhere_is_a_bug_and_no_success():
    """Only stdout's own end is lived with: a connection that breaks under a command never ends with 0."""

    @click.group(cls=Group)
    def main():
        """Hold one command."""

    @main.command()
    def fails():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        main(["fails"], standalone_mode=False)
