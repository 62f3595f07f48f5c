"""What a Dockerfile says, read as far as it can be carried out without Docker."""

import fnmatch
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Image:
    """A Dockerfile, and the `.dockerignore` beside it."""

    file: Path

    def stages(self):
        """Read its stages, each a list of instruction and words."""
        text = re.sub(r"^#.*\n", "", self.file.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
        stages = []
        for line in filter(None, text.splitlines()):
            word, given = line.split(None, 1)
            if word == "FROM":
                stages.append([])
            stages[-1].append((word, given.strip()))
        return stages

    def keeps(self, path):
        """Whether a path goes into the build: the last line of .dockerignore that matches it decides."""
        found = True
        for line in self.file.with_suffix(".dockerignore").read_text("utf-8").splitlines():
            pattern = line.lstrip("!").removeprefix("**/")
            parts = path.relative_to(ROOT).parts if line.startswith("**/") else path.relative_to(ROOT).parts[:1]
            if any(fnmatch.fnmatch(part, pattern) for part in parts):
                found = line.startswith("!")
        return found

    def copied(self, stage, target):
        """Copy what a stage copies from the context into a folder that stands for its root."""
        for word, given in stage:
            *sources, to = given.split()
            if word != "COPY" or sources[0].startswith("--from"):
                continue
            for source in sources:
                path = ROOT / source
                into = target / to.lstrip("/")
                assert self.keeps(path), f"{source} is left out of the build by .dockerignore"
                files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
                for one in filter(self.keeps, files):
                    final = into / one.relative_to(path.parent if path.is_file() else path)
                    final.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(one, final)


def as_another_user():
    """Get the words that make root a user without rights; nothing where this is one already, or may not be changed."""
    words = ["unshare", "--user", "--map-user=10001", "--map-group=10001", "--"]
    works = os.getuid() == 0 and shutil.which("unshare") is not None
    return words if works and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0 else []
