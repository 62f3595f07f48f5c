"""The command `completion`: what makes a shell complete commands, options, choices, pipeline files and streams."""

from typing import Final

import click
from click.shell_completion import get_completion_class

from bucket_loader.cli.group import main
from bucket_loader.cli.words import Word

_PROGRAM: Final = "bucket-loader"
_VARIABLE: Final = "_BUCKET_LOADER_COMPLETE"
_INSTALLED: Final = {
    "bash": "echo 'eval \"$(bucket-loader completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(bucket-loader completion zsh)\"' >> ~/.zshrc",
    "fish": "bucket-loader completion fish > ~/.config/fish/completions/bucket-loader.fish",
}


@main.command()
@click.argument("shell", type=Word(list(_INSTALLED)), metavar="SHELL")
def completion(shell: str) -> None:
    """Print what makes SHELL (bash, zsh or fish) complete commands, options, pipeline files and streams.

    \b
    Examples:
      bucket-loader completion fish > ~/.config/fish/completions/bucket-loader.fish
      echo 'eval "$(bucket-loader completion bash)"' >> ~/.bashrc
      echo 'eval "$(bucket-loader completion zsh)"' >> ~/.zshrc
    """
    script = get_completion_class(shell)
    assert script is not None  # noqa: S101  # click has all three
    click.echo(f"# Install it once, then start a new shell:\n#   {_INSTALLED[shell]}")
    click.echo(script(main, {}, _PROGRAM, _VARIABLE).source(), nl=False)
