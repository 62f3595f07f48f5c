"""Make the environment that the Makefile works with, and say what is done: `python3 tools/install.py .venv [dev]`.

It needs nothing but Python. Without `dev` it installs what the loader runs with; with it, what the tests need besides.
The pip that comes with Python 3.11 knows no groups of dependencies, so they are read here.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

PIP = ["-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "--progress-bar", "off",
       "--constraint", "constraints.txt"]  # fmt: skip
PERIOD_S = 0.2
SIGNS = "|/-\\"
LINES_OF_A_FAILURE = 15


def main():
    """Make the environment, where it is not there yet, and install into it."""
    if sys.version_info < (3, 11):  # noqa: UP036  # whatever Python there is runs this
        sys.exit("Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")
    folder, for_tests = sys.argv[1], sys.argv[2:] == ["dev"]
    python = Path(folder, "bin", "python")
    if not python.exists():
        step(f"making {folder}", [sys.executable, "-m", "venv", folder], "on Debian: apt-get install python3-venv")
    what, packages = ("the tests need", group("dev")) if for_tests else ("it runs with", ["--editable", "."])
    step(f"installing what {what} into {folder}", [str(python), *PIP, *packages], "is the package index there?")


def group(name):
    """Return the packages of a group of pyproject.toml (PEP 735), with those of the groups that it includes."""
    groups = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["dependency-groups"]
    return [
        package for one in groups[name] for package in ([one] if isinstance(one, str) else group(one["include-group"]))
    ]


def step(title, command, advice):
    """Do one step: on a terminal one line that moves, elsewhere one when it begins and one when it has ended."""
    moves = sys.stdout.isatty()
    if not moves:
        print(f"{title} ...", flush=True)
    began_s = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True) as process:
            while process.poll() is None:
                time.sleep(PERIOD_S)
                if moves:
                    show(f"{sign(began_s)} {title}: {seconds(began_s)} {latest(read(output))}")
        text = read(output)
    if process.returncode:
        lines = "\n".join(text.splitlines()[-LINES_OF_A_FAILURE:])
        sys.exit(f"\n{lines}\n{title}: failed (see above); {advice}")
    installed = re.findall(r"^Successfully installed (.*)$", text, flags=re.MULTILINE)
    packages = f", {len(installed[0].split())} packages" if installed else ""
    show(f"{title}: done in {seconds(began_s)}{packages}", end="\n", over=moves)


def read(output):
    """Return what the command has printed so far."""
    output.seek(0)
    return output.read()


def latest(text):
    """Return what pip does now, in a word or two."""
    found = re.findall(r"^(Collecting|Downloading|Installing collected packages)[ :]*(\S*)", text, flags=re.MULTILINE)
    if not found:
        return ""
    doing, what = found[-1]
    return "unpacking" if doing.startswith("Installing") else f"{doing.lower()} {what.rpartition('/')[2]}"


def show(line, end="", *, over=True):
    """Write a line in the place of the one before."""
    width = shutil.get_terminal_size().columns - 1
    print(f"\r{line[:width]:{width}}" if over else line, end=end, flush=True)


def seconds(began_s):
    """Return how long it has taken."""
    return f"{time.monotonic() - began_s:.0f} s"


def sign(began_s):
    """Return the sign that moves."""
    return SIGNS[int((time.monotonic() - began_s) / PERIOD_S) % len(SIGNS)]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nstopped; the same command begins again")
