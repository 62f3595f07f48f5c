"""Build the docs as a site: `make docs`, or `python docs/publish.py`.

The pages of `docs/` are gathered in `build/pages`, together with each file of the project that they link to, and
zensical makes `build/docs` of them. A link is written once, for the checkout, and is turned here to where its target
stands in the site. The site asks no other host for anything, and opens from a disk.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from error_pages import messages

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
ZENSICAL = ROOT / ".docs" / "bin" / "zensical"
MADE = {"<!-- messages -->": messages}  # lists for the site alone: they change with every word of the code
AS_THEY_ARE = {".css", ".js", ".json", ".png", ".svg"}
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}
_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")


def main() -> None:
    """Gather the pages, and build the site."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--zensical", default=str(ZENSICAL), help="the program that builds")
    options.add_argument("--build", type=Path, default=BUILD, help="the folder to build in")
    chosen = options.parse_args()
    gather(chosen.build)
    command = [chosen.zensical, "build", "--clean", "--strict", "--config-file", str(chosen.build / "zensical.toml")]
    ended = subprocess.run(command, check=False)  # noqa: S603  # our own program
    if ended.returncode == 0:
        print(f"the site is {chosen.build / 'docs' / 'index.html'}")  # noqa: T201
    sys.exit(ended.returncode)


def gather(build: Path) -> None:
    """Write all pages of the site, and its settings, into a folder."""
    pages = build / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    waiting, seen = [*_own_files()], set()
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        target = pages / place(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix in AS_THEY_ARE and source.is_relative_to(ROOT / "docs"):
            shutil.copy(source, target)
            continue
        text = as_page(source)
        target.write_text(turned(text, source), "utf-8")
        waiting += linked(text, source)
    shutil.copy(ROOT / "docs" / "site" / "zensical.toml", build)


def _own_files() -> Iterator[Path]:
    docs = ROOT / "docs"
    yield from docs.glob("*.md")
    yield from (docs / "how-to").rglob("*.md")
    yield from (file for file in docs.rglob("*") if file.suffix in AS_THEY_ARE and "testing" not in file.parts)


def place(source: Path) -> PurePosixPath:
    """Return where a file of the project stands in the site: pages of `docs/` at the top, all else in `project/`."""
    path = PurePosixPath(source.relative_to(ROOT).as_posix())
    if path.is_relative_to("docs") and path.suffix in {".md", *AS_THEY_ARE}:
        return path.relative_to("docs")
    inside = "project" / path
    if source.is_dir():
        return inside / "index.md"
    return inside if inside.suffix == ".md" else inside.with_name(f"{inside.name}.md")


def as_page(source: Path) -> str:
    """Return a file of the project as the text of a page."""
    if source.suffix == ".md":
        text = source.read_text("utf-8")
        for mark, make in MADE.items():
            text = text.replace(mark, make()) if mark in text else text
        return text
    title = f"# {source.relative_to(ROOT).as_posix()}\n\n"
    if source.is_dir():
        names = sorted(file.name for file in source.iterdir() if not file.name.startswith((".", "_")))
        return title + "".join(f"- [{name}]({name})\n" for name in names)
    fence = "`" * 4
    return f"{title}{fence}{LANGUAGES.get(source.suffix, 'text')}\n{source.read_text('utf-8').rstrip()}\n{fence}\n"


def linked(text: str, source: Path) -> list[Path]:
    """Return the files of the project that a page links to."""
    return [target for target in (_target(source, found) for found in _LINK.findall(text)) if target.exists()]


def turned(text: str, source: Path) -> str:
    """Return a page whose links lead to where their targets stand in the site."""
    here = place(source).parent

    def turn(found: re.Match[str]) -> str:
        target = _target(source, found[0])
        return os.path.relpath(place(target), here) if target.exists() else found[0]

    return _LINK.sub(turn, text)


def _target(source: Path, link: str) -> Path:
    folder = source if source.is_dir() else source.parent
    return Path(os.path.normpath(folder / link))


if __name__ == "__main__":
    main()
