"""What the steps of a release check share."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHOWN = 1500  # characters of what a failed program has said


class Failed(Exception):  # noqa: N818  # it reads as what it is
    """A step found something wrong; what, in words."""


class LeftOut(Exception):  # noqa: N818  # the same
    """A step cannot be done on this machine; why, in words."""


@dataclass
class Release:
    """What the steps make and look at.

    Attributes:
        folder: where they work.
        keep: where the archives are put; None where nobody wants them.
        version: the version that is released.
        sdist: the source archive.
        wheel: the wheel.
        environments: one for each Python and tool, with the wheel in it, by name.
    """

    folder: Path
    keep: Path | None = None
    version: str = ""
    sdist: Path = Path()
    wheel: Path = Path()
    environments: dict[str, Path] = field(default_factory=dict)

    def read(self, end):
        """Return the bytes of the one file in the wheel whose name ends so."""
        with zipfile.ZipFile(self.wheel) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(end)]
            return archive.read(name)


def called(*command, cwd=ROOT, **variables):
    """Run a program, and return what it printed.

    Raises:
        Failed: it ended with another code than 0; holds the end of what it said.
    """
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "MAKE"))
    }
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**clean, **variables}, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"`{' '.join(map(str, command))}` ended with {done.returncode}: {done.stdout[-SHOWN:]}")
    return done.stdout


def tool(name):
    """Return a program of this environment."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise Failed(f"{name} is not installed beside {sys.executable}; `make release-check` installs it")
    return found
