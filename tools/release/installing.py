"""The wheel, installed as people do it, into each Python that there is here; then the program is used."""

import os
import re
import shutil
import sys
from pathlib import Path

from steps import ROOT, Failed, called, tool

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
ENDS = "now in Bucket (the emulator):"


def installs(release):
    """Install with pip, uv and pipx into every Python, and try the program there."""
    found = {version: python for version in PYTHONS if (python := where(version)) is not None}
    if not found:
        raise Failed("no Python of those that the package is for is here")
    for version, python in found.items():
        for name, install in (("pip", by_pip), ("uv", by_uv), ("pipx", by_pipx)):
            folder = release.folder / f"{name}-{version}"
            release.environments[f"{name} {version}"] = install(release.wheel, python, folder)
            try_out(release.environments[f"{name} {version}"], folder)
    lacking = [version for version in PYTHONS if version not in found]
    said = f"pip, uv and pipx into Python {', '.join(found)}: --help, demo, rehearse"
    return f"{said}; not here: Python {', '.join(lacking)}" if lacking else said


def where(version):
    """Return a Python of this version; None where this machine has none."""
    names = [shutil.which(f"python{version}"), *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for one in filter(None, (sys.executable, *names)):
        try:
            real = called(one, "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys._base_executable)").split()
        except (Failed, OSError):  # a shim of a Python that is not there
            continue
        if real[0] == version:
            return real[1]
    return None


def by_pip(wheel, python, folder):
    """Install with the pip that comes with Python."""
    called(python, "-m", "venv", folder / "venv")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    called(folder / "venv" / "bin" / "python", *pip, "--constraint", ROOT / "constraints.txt", wheel)
    return folder / "venv"


def by_uv(wheel, python, folder):
    """Install with uv."""
    called(tool("uv"), "venv", "--quiet", "--python", python, folder / "venv")
    target = folder / "venv" / "bin" / "python"
    called(tool("uv"), "pip", "install", "--quiet", "--python", target, "--constraint", ROOT / "constraints.txt", wheel)
    return folder / "venv"


def by_pipx(wheel, python, folder):
    """Install with pipx, with what is newest of everything: it takes no constraints."""
    places = {"PIPX_HOME": folder, "PIPX_BIN_DIR": folder / "bin", "PIPX_MAN_DIR": folder / "man"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {name: str(place) for name, place in places.items()}
    called(tool("pipx"), "install", "--python", python, wheel, PATH=path, **variables)
    return folder / "venvs" / "bucket-loader"


def try_out(environment, folder):
    """Ask for help, run the demo, and rehearse its pipeline once more, far from any checkout."""
    program, place = environment / "bin" / "bucket-loader", folder / "person"
    place.mkdir()
    if not re.match(r"Usage: bucket-loader ", called(program, "--help", cwd=place)):
        raise Failed("`bucket-loader --help` shows no usage")
    for words in (
        ["demo", "--no-keep", "boats"],
        ["rehearse", "boats/pipelines/quickstart.yaml", "--allow-rejected", "5%"],
    ):
        if ENDS not in called(program, *words, cwd=place):
            raise Failed(f"`bucket-loader {' '.join(words)}` does not say what arrived")
