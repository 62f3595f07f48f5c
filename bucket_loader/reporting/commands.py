"""The commands that a line names, so that they can be pasted: `bucket-loader abandon PIPELINE RUN` gets its file."""

import re
from typing import Final

_COMMAND: Final = re.compile(r"`bucket-loader [^`]*`")


class Commands:
    """Fills in how a command names the pipeline, which whoever words an error does not know.

    Attributes:
        pipeline: the file as the shell takes it, with the places of its state where the command named them.
    """

    def __init__(self) -> None:
        self.pipeline = ""

    def filled(self, text: str) -> str:
        """Return a line whose commands have the pipeline's file in the place of PIPELINE."""
        if not self.pipeline:
            return text
        return _COMMAND.sub(lambda found: found[0].replace("PIPELINE", self.pipeline), text)
