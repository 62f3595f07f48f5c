"""The command line: every command, a file for each family of them.

A command is a function that its family's file puts into the group `main`. It turns words into one call of another
room, and imports what is heavy only when it is called: `--help` has to be there at once.
"""

from bucket_loader.cli import (
    completion,
    demo,
    emulator,
    explain,
    exposures,
    features,
    forget,
    history,
    impact,
    look_back,
    repair,
    reporting,
    run,
    start,
)
from bucket_loader.cli.group import EXIT_CODES, main

__all__ = [
    "EXIT_CODES",
    "completion",
    "demo",
    "emulator",
    "explain",
    "exposures",
    "features",
    "forget",
    "history",
    "impact",
    "look_back",
    "main",
    "repair",
    "reporting",
    "run",
    "start",
]
