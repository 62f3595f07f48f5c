"""Make pictures of what a terminal shows: the real program runs in one, and its screen is drawn.

`python docs/screens.py` makes those of the docs (`docs/screen-*.svg`). `python docs/screens.py FOLDER [SCREEN...]`
makes one of every screen at 40, 80 and 120 columns, by day and by night, to be looked at; PNG where chromium is there.
"""

import io
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import requests
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME, TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "emulator")]

from browser import running_browser  # noqa: E402
from terminal import Session, session  # noqa: E402

from bucket_loader.emulator.http.server import Endpoint, running  # noqa: E402

COLUMNS: Final = (40, 80, 120)
THEMES: Final[dict[str, TerminalTheme]] = {"light": DEFAULT_TERMINAL_THEME, "dark": SVG_EXPORT_THEME}
IN_DOCS: Final = {"progress": 80, "waiting-for-a-host": 80, "summary": 80, "status": 80, "history": 80}

PIPELINE: Final = """
name: nightly
destination:
  base_url: ${BUCKET_BASE_URL}
  key: ${BUCKET_SECRET_KEY}
  patience: 30m
  concurrency: 2
%s
streams:
  - name: companies
    record: company
    source: {type: csv, path: exports/accounts.csv}
    fields: {companyId: id, attributes: "*"}
  - name: clicks
    record: event
    source: {type: csv, path: exports/clicks.csv}
    key: [id]
    fields: {userId: user, event: what, timestamp: {column: at, timezone: UTC}}
"""
OTHER_KEY: Final = "sec_of_another_environment"
_ASCII: Final = {"NO_COLOR": "1", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SLOWLY: Final = "  chunk: {records: 20}\n  requests_per_second: 25"


@dataclass(frozen=True)
class Scene:
    """Where a picture is taken: a folder with a pipeline, an emulator, and a width.

    Attributes:
        folder: holds the pipeline file and its exports.
        endpoint: the emulator.
        columns: how wide the terminal is.
        variables: what the program finds in its environment.
    """

    folder: Path
    endpoint: Endpoint
    columns: int
    variables: dict[str, str]

    @contextmanager
    def terminal(self, *words: str, **variables: str) -> Iterator[Session]:
        """Run the program."""
        given = {"BUCKET_BASE_URL": self.endpoint.url, "BUCKET_SECRET_KEY": self.endpoint.secret_key}
        with session(self.folder, *words, columns=self.columns, **(given | self.variables | variables)) as found:
            yield found

    def write(self, more: str = "", name: str = "nightly.yaml") -> None:
        """Write the pipeline file."""
        (self.folder / name).write_text((PIPELINE % more).replace("nightly", Path(name).stem), "utf-8")

    def faults(self, *faults: dict[str, Any]) -> None:
        """Let things go wrong in the emulator."""
        body = {"seed": 1, "faults": list(faults)}
        requests.put(f"{self.endpoint.url}/_emulator/faults", json=body, timeout=10).raise_for_status()

    def run(self, *words: str) -> None:
        """Run the pipeline to its end, without a picture."""
        with self.terminal("run", "nightly.yaml", *words) as found:
            found.ended()


Take = Callable[[Scene], Session]


def _at(scene: Scene, shows: str, *words: str, **variables: str) -> Session:
    with scene.terminal(*words, **variables) as found:
        return found.until(shows)


def _after(scene: Scene, *words: str, **variables: str) -> Session:
    with scene.terminal(*words, **variables) as found:
        found.ended()
        return found


def progress(scene: Scene) -> Session:
    """One stream is done, the other moves."""
    scene.write(SLOWLY)
    return _at(scene, r"clicks +\S* +\d\d\d/", "run", "nightly.yaml")


def summary(scene: Scene) -> Session:
    """A run ended, and some rows were rejected."""
    return _after(scene, "run", "nightly.yaml")


def nothing_to_send(scene: Scene) -> Session:
    """A run that found nothing new."""
    (scene.folder / "exports" / "clicks.csv").write_text("id,user,what,at\n")
    scene.run()
    return _after(scene, "run", "nightly.yaml")


def nobody_listens(scene: Scene) -> Session:
    """A wrong port of this machine."""
    return _after(scene, "run", "nightly.yaml", BUCKET_BASE_URL="http://127.0.0.1:9")


def waiting_for_a_host(scene: Scene) -> Session:
    """A host that cannot be reached."""
    scene.write("  proxy: http://127.0.0.1:9")
    return _at(scene, r"Try\s+\d", "run", "nightly.yaml", BUCKET_BASE_URL="https://front.bucket.co")


def server_errors(scene: Scene) -> Session:
    """A host that answers with errors."""
    scene.faults({"kind": "status", "status": 500, "rate": 1.0})
    return _at(scene, r"Try\s+\d", "run", "nightly.yaml")


def rate_limit(scene: Scene) -> Session:
    """A host that asks to send less."""
    scene.faults({"kind": "status", "status": 429, "rate": 1.0, "retry_after": 30})
    return _at(scene, r"Try\s+\d", "run", "nightly.yaml")


def lock(scene: Scene) -> Session:
    """Another copy runs."""
    scene.write(SLOWLY.replace("25", "1"))
    with scene.terminal("run", "nightly.yaml") as first:
        first.until("companies")
        return _at(scene, r"another\s+copy", "run", "nightly.yaml", "--wait-for-lock", "10m")


def refused_key(scene: Scene) -> Session:
    """The key is another environment's."""
    return _after(scene, "run", "nightly.yaml", BUCKET_SECRET_KEY=OTHER_KEY)


def mistakes(scene: Scene) -> Session:
    """A pipeline file with mistakes."""
    scene.write("  keys: x")
    file = scene.folder / "nightly.yaml"
    file.write_text(file.read_text("utf-8").replace("record: event", "record: events"), "utf-8")
    return _after(scene, "run", "nightly.yaml")


def status(scene: Scene) -> Session:
    """Past runs of a pipeline: all went well but a few rows, nothing was new, and one was interrupted."""
    scene.run()
    scene.run()
    clicks = "".join(f"f{number},u{number % 90},closed,2026-01-02T08:00:00\n" for number in range(1200))
    (scene.folder / "exports" / "clicks.csv").write_text(f"id,user,what,at\n{clicks}", "utf-8")
    scene.write(SLOWLY)
    with scene.terminal("run", "nightly.yaml") as found:
        found.until(r"clicks +\S* +\d\d\d/")
        found.interrupt()
        found.ended()
    return _after(scene, "status", "nightly.yaml")


def status_of_one(scene: Scene) -> Session:
    """All of a run."""
    scene.run()
    return _after(scene, "status", "nightly.yaml", "latest")


def status_of_all(scene: Scene) -> Session:
    """All pipelines of a folder."""
    scene.run()
    scene.write(name="hourly.yaml")
    scene.write("  keys: x", name="weekly.yaml")
    return _after(scene, "status")


def history(scene: Scene) -> Session:
    """A dozen runs, and how they went."""
    for number in range(12):
        rows = "".join(f"{one:05d},Company {one} {number}\n" for one in range(120 + 37 * (number % 7)))
        nameless = ",Nobody\n" * (number // 4)
        (scene.folder / "exports" / "accounts.csv").write_text(f"id,name\n{rows}{nameless}", "utf-8")
        scene.run()
    return _after(scene, "history", "nightly.yaml")


def plain(scene: Scene) -> Session:
    """A dumb terminal, without colours and signs."""
    scene.write(SLOWLY)
    variables = {
        "TERM": "dumb",
        "NO_COLOR": "1",
        "LANG": "C",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    return _after(scene, "run", "nightly.yaml", **variables)


def without_unicode(scene: Scene) -> Session:
    """A terminal that knows ASCII alone."""
    scene.write(SLOWLY)
    return _at(scene, r"clicks +\S* +\d\d\d/", "run", "nightly.yaml", **_ASCII)


SCREENS: Final[tuple[Take, ...]] = (
    progress, summary, nothing_to_send, nobody_listens, waiting_for_a_host, server_errors, rate_limit, lock,
    refused_key, mistakes, status, status_of_one, status_of_all, history, plain, without_unicode,
)  # fmt: skip


# --- drawing -------------------------------------------------------------------------------------------------------


def taken(take: Take, columns: int) -> Text:
    """Return what the screen shows in the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightly-")))
        endpoint = stack.enter_context(running())
        exports = folder / "exports"
        exports.mkdir()
        rows = "".join(f"{number:05d},Company {number}\n" for number in range(600))
        (exports / "accounts.csv").write_text(f"id,name\n{rows},Nameless\n,Nobody\n", "utf-8")
        clicks = "".join(f"e{number},u{number % 90},opened,2026-01-01T08:00:00\n" for number in range(1200))
        (exports / "clicks.csv").write_text(f"id,user,what,at\n{clicks}e,u1,opened,yesterday\n", "utf-8")
        scene = Scene(folder, endpoint, columns, {})
        scene.write()
        return drawn(take(scene))


def drawn(terminal: Session) -> Text:
    """Return the lines of a screen with their colours."""
    text = Text()
    for number, line in enumerate(terminal.lines):
        row = terminal.screen.buffer[number]
        for style, cells in groupby((row[column] for column in range(len(line))), _style):
            text.append("".join(cell.data for cell in cells), style)
        text.append("\n")
    text.rstrip()
    return text


def _style(cell: Any) -> Style:  # noqa: ANN401  # pyte has no types
    colour = None if cell.fg == "default" else cell.fg.replace("brown", "yellow").replace("bright", "bright_")
    return Style(color=colour, bold=cell.bold, reverse=cell.reverse)


_SIZE: Final = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')


def svg(text: Text, columns: int, title: str, theme: TerminalTheme) -> str:
    """Return a picture that asks no other host for a font."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(text, soft_wrap=True)
    found = console.export_svg(title=title, theme=theme, unique_id=re.sub(r"\W", "", title))
    found = re.sub(r"@font-face \{.*?\}\s*", "", found, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", found.replace("Fira Code", "DejaVu Sans Mono"), flags=re.MULTILINE)


def every_screen(folder: Path, only: list[str]) -> None:
    """Make a picture of every screen, at every width, by day and by night."""
    folder.mkdir(parents=True, exist_ok=True)
    has_browser = shutil.which("chromium") is not None
    with ExitStack() as stack:
        page = stack.enter_context(stack.enter_context(running_browser()).page()) if has_browser else None
        for take in SCREENS:
            name = take.__name__.replace("_", "-")
            if only and name not in only:
                continue
            for columns in COLUMNS:
                text = taken(take, columns)
                (folder / f"{name}-{columns}.txt").write_text(text.plain + "\n", "utf-8")
                for light, theme in THEMES.items():
                    file = folder / f"{name}-{columns}-{light}.svg"
                    file.write_text(svg(text, columns, name, theme), "utf-8")
                    if page is not None:
                        page.resize(*(round(float(one)) + 16 for one in _SIZE.findall(file.read_text("utf-8"))[0]))
                        page.run(f"document.body.innerHTML = {json.dumps(file.read_text('utf-8'))}")
                        file.with_suffix(".png").write_bytes(page.screenshot())


def main() -> None:
    """Make the pictures of the docs, or all."""
    os.environ.setdefault("TZ", "UTC")
    if len(sys.argv) > 1:
        return every_screen(Path(sys.argv[1]), sys.argv[2:])
    by_name = {take.__name__.replace("_", "-"): take for take in SCREENS}
    for name, columns in IN_DOCS.items():
        picture = svg(taken(by_name[name], columns), columns, "bucket-loader", THEMES["dark"])
        (ROOT / "docs" / f"screen-{name}.svg").write_text(picture, "utf-8")
    return None


if __name__ == "__main__":
    main()
