"""The published clients, unmodified, in each of their modes: a program or a page, and what it is asked step by step."""

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from browser import Browser, Page
from emulator_api import PUBLISHABLE, SECRET, Api
from tiers import CLIENTS, ROOT

SDK = Path(__file__).parent / "sdk"
GUIDE = (ROOT / "docs" / "emulator.md").read_text("utf-8")
USER = {"id": "u1", "name": "Ada", "age": 36}
COMPANY = {"id": "42", "name": "Acme", "plan": "pro"}
_GIVEN = (
    "ReflagClient, BucketClient, ReflagProvider, BucketProvider, bucket, url, publishableKey, user, company, children"
)
_PAGE = '<!doctype html><link rel="icon" href="data:,"><body><script src="client.js"></script>'


@dataclass(frozen=True, eq=False)
class Mode:
    """A client in one of its modes.

    Attributes:
        client: the package.
        script: the file of `sdk` that runs it; the command line needs none.
        name: what the docs call the mode.
        options: what it is made with beside what the docs say.
        again: what makes it ask for its flags anew, and what that is called with.
        asks_s: after how long it asks or connects again by itself, at the latest; None where it does neither.
    """

    client: str
    script: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    again: tuple[Any, ...] = ()
    asks_s: int | None = None

    def __str__(self) -> str:
        return f"{self.client}: {self.name}"


def _mode(client: str, name: str, asks_s: int | None = None, again: tuple[Any, ...] = (), **options: Any) -> Mode:
    script = next(script for script in ("node", "browser", "react", "tracking", "cli") if script in client)
    return Mode(client, script, name, options, again, asks_s)


_FLAGS, _REFRESH, _UPDATE = ("refreshFlags",), ("refresh",), ("updateUser", {"renewed": True})
_LIVE, _NOT_LIVE = {"enableLiveFlagUpdates": True}, {"enableLiveFlagUpdates": False}
MODES = (
    _mode("@reflag/node-sdk", "push, the default", 10, _FLAGS),
    _mode("@reflag/node-sdk", "polling", 60, _FLAGS, flagsSyncMode="polling"),
    _mode("@reflag/node-sdk", "in-request", 60, _FLAGS, flagsSyncMode="in-request"),
    _mode("@reflag/node-sdk", "offline", offline=True),
    _mode("@bucketco/node-sdk", "polling, the default", 60),
    _mode("@bucketco/node-sdk", "in-request", 60, cacheStrategy="in-request"),
    _mode("@bucketco/node-sdk", "offline", offline=True),
    _mode("@reflag/browser-sdk", "live updates off, the default", None, _REFRESH),
    _mode("@reflag/browser-sdk", "live updates on", 30, _REFRESH, **_LIVE),
    _mode("@reflag/browser-sdk", "offline", offline=True),
    _mode("@bucketco/browser-sdk", "the default", None, _UPDATE),
    _mode("@bucketco/browser-sdk", "offline", offline=True),
    _mode("@reflag/react-sdk", "live updates on, the default", 30, _REFRESH),
    _mode("@reflag/react-sdk", "live updates off", None, _REFRESH, **_NOT_LIVE),
    _mode("@reflag/react-sdk", "offline", offline=True),
    _mode("@bucketco/react-sdk", "the default", None, _UPDATE),
    _mode("@bucketco/react-sdk", "offline", offline=True),
    _mode("@bucketco/tracking-sdk", "the default", 60),
    _mode("@reflag/cli", "with a key"),
)


def version(client: str) -> str:
    """Return the version of a client that is installed."""
    return str(json.loads((CLIENTS / "node_modules" / client / "package.json").read_bytes())["version"])


def documented(client: str) -> str:
    """Return the code with which the docs point a client at the emulator."""
    (code,) = re.findall(rf"```(?:jsx?|sh)\n(?://|#) {client}\n(.+?);?\n```", GUIDE, flags=re.DOTALL)
    return str(code)


def until(holds: Callable[[], object], within_s: float) -> float | None:
    """Wait until something holds; return after how many seconds it did, None when it did not in time."""
    start_s = time.monotonic()
    while not holds():
        if time.monotonic() - start_s > within_s:
            return None
        time.sleep(0.01)
    return time.monotonic() - start_s


class Client(Protocol):
    """A client that runs."""

    def step(self, name: str, **words: Any) -> Any:
        """Have it do a step of its script, and return what came of it."""

    def told(self) -> tuple[list[str], set[str]]:
        """Return the warnings and errors it has told, and the hosts it has called."""


class Program:
    """A client for servers, in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def step(self, name: str, **words: Any) -> Any:
        """Have it do a step of its script, and return what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"step": name, **words}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def told(self) -> tuple[list[str], set[str]]:
        """Return the warnings and errors it has told, and the hosts it has called."""
        told = self.step("told")
        return told["said"], set(told["hosts"])


class Tab:
    """A client for browsers, in a page of one."""

    def __init__(self, page: Page, home: str) -> None:
        self._page = page
        self._home = home

    def step(self, name: str, **words: Any) -> Any:
        """Have it do a step of its script, and return what came of it."""
        return self._page.run(f"step({json.dumps(name)}, {json.dumps(words)})")

    def told(self) -> tuple[list[str], set[str]]:
        """Return the warnings and errors it has told, and the hosts it has called."""
        self._page.run("1")  # whatever it still had to say comes first
        hosts = {urlsplit(url).netloc for url in self._page.requested if url.startswith("http")}
        return self._page.complaints, hosts - {self._home}


class Clients:
    """Starts clients, those for browsers in pages of `localhost`, as a developer has them."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._folder = folder

    @contextlib.contextmanager
    def serving(self) -> Iterator["Clients"]:
        """Serve the pages for as long as the `with` lasts."""
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=self._folder)) as server:
            self._home = f"localhost:{server.server_port}"
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield self
            server.shutdown()

    @contextlib.contextmanager
    def started(self, mode: Mode, api: Api) -> Iterator[Client]:
        """Run a client in one of its modes, pointed at an emulator as the docs say, for as long as the `with` lasts."""
        with program(mode.client) if mode.script == "node" else self._tab(mode) as client:
            client.step("start", code=documented(mode.client), options=mode.options, given=given(api))
            yield client

    @contextlib.contextmanager
    def _tab(self, mode: Mode) -> Iterator[Client]:
        if not (folder := self._folder / mode.client).exists():
            _build(mode, folder)
        with self._browser.page(hurried=False) as page:
            page.open(f"http://{self._home}/{mode.client}/")
            page.wait_for("window.step")
            yield Tab(page, self._home)


def given(api: Api) -> dict[str, Any]:
    """Return what the code of the docs has names for."""
    keys = {"url": api.url, "secretKey": SECRET, "publishableKey": PUBLISHABLE}
    return {**keys, "user": USER, "company": COMPANY}


@contextlib.contextmanager
def program(client: str, **environment: str) -> Iterator[Client]:
    """Run the script of a client for servers, which waits for its first step."""
    process = subprocess.Popen(
        ["node", SDK / "node.js", client],
        cwd=CLIENTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "NODE_ENV": "test",
            **environment,
        },  # as under a test runner: the docs say what it needs then
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate()


def _build(mode: Mode, folder: Path) -> None:
    """Bundle a client for browsers with its script and with the code of the docs, as an application would."""
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(_PAGE, "utf-8")
    code = f"export default ({{ {_GIVEN} }}) => (\n{documented(mode.client)}\n);"
    (documented_file := folder / "documented.jsx").write_text(code, "utf-8")
    command = [
        "node_modules/.bin/esbuild",
        SDK / f"{mode.script}.js",
        "--bundle",
        "--jsx=automatic",
        f"--alias:client={mode.client}",
        f"--alias:documented={documented_file}",
        f"--outfile={folder / 'client.js'}",
        "--log-level=error",
    ]
    subprocess.run(command, cwd=CLIENTS, check=True, env={**os.environ, "NODE_PATH": str(CLIENTS / "node_modules")})


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""
