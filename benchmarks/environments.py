"""An environment for each peer, made once and kept: pip's or npm's packages, at the versions that are written down."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEPT: Final = Path(__file__).parent / ".environments"


class EnvironmentFailedError(Exception):
    """An environment cannot be made here."""


@dataclass(frozen=True)
class Environment:
    """What a peer is installed with.

    Attributes:
        name: of its folder.
        packages: each with its version; npm's where the program is a .mjs file.
        node: whether they are npm's.
    """

    name: str
    packages: tuple[str, ...]
    node: bool = False

    @property
    def folder(self) -> Path:
        """Where it is; other packages are another folder."""
        digest = hashlib.sha256(" ".join((sys.version, *self.packages)).encode()).hexdigest()[:8]
        return KEPT / f"{self.name}-{digest}"

    def make(self) -> None:
        """Make it, unless it is there.

        Raises:
            EnvironmentFailedError: a program is missing, or the packages cannot be installed.
        """
        ready = self.folder / "ready"
        if ready.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._make_node() if self.node else self._make_python()
        ready.touch()

    def program(self, path: Path) -> list[str]:
        """Return the words that start a program in it."""
        if not self.node:
            return [str(self.folder / "bin" / "python"), str(path)]
        placed = self.folder / path.name  # node looks for packages beside the program
        shutil.copyfile(path, placed)
        return ["node", str(placed)]

    def _make_python(self) -> None:
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        python = str(self.folder / "bin" / "python")
        if uv:
            _run([uv, "venv", "--quiet", "--python", sys.executable, str(self.folder)])
            _run([uv, "pip", "install", "--quiet", "--python", python, *self.packages])
        else:
            _run([sys.executable, "-m", "venv", str(self.folder)])
            _run([python, "-m", "pip", "install", "--quiet", *self.packages])

    def _make_node(self) -> None:
        (self.folder / "package.json").write_text(json.dumps({"private": True}))
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", *self.packages], folder=self.folder)


def _run(words: list[str], folder: Path | None = None) -> None:
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise EnvironmentFailedError(f"{words[0]} is not installed here") from None
    if done.returncode:
        raise EnvironmentFailedError(f"{' '.join(words[:3])} ... failed:\n{done.stderr[-2000:]}")
