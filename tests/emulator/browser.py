"""Drives a headless Chromium through its DevTools protocol: just what the page's tests and its screenshot need."""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

_FLAGS = (
    "--headless",
    "--no-sandbox",  # as root, which CI is, there is no other way
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
# What a page does every two seconds it does every fifth of a second: its tests wait for it.
_FAST_CLOCK = "const every = window.setInterval; window.setInterval = (what, ms) => every(what, ms / 10);"
_START_S_MAX = 60  # on a machine that is busy with other tests
_WAIT_S_MAX = 30


class Session:
    """One end of the DevTools protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the protocol, and return its result."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=_WAIT_S_MAX))
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                return dict(message["result"])
            self._notice(message)

    def _notice(self, message: dict[str, Any]) -> None:
        """Take in an event; most do not matter."""


class Page(Session):
    """One tab, and all it has asked for and complained about."""

    def __init__(self, connection: ClientConnection, *, hurried: bool) -> None:
        super().__init__(connection)
        self.requested: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")
        if hurried:
            self.command("Page.addScriptToEvaluateOnNewDocument", source=_FAST_CLOCK)

    def open(self, url: str) -> None:
        """Go to an address; what is there may still be loading."""
        self.command("Page.navigate", url=url)

    def run(self, expression: str) -> Any:
        """Evaluate an expression of JavaScript on the page."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is truthy."""
        end_s = time.monotonic() + _WAIT_S_MAX
        while not self.run(f"Boolean({expression})"):
            assert time.monotonic() < end_s, f"never true: {expression}\n{self.text('body')}"
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """Return the text that a person sees in an element."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def press(self, key: str, text: str = "") -> None:
        """Press a key and let it go."""
        self.command(
            "Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=_CODES.get(key, 0)
        )
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.command("Input.insertText", text=text)

    def resize(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """Be a screen of another size, by day or by night."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """Return what is on the screen, as PNG."""
        return base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"])

    def _notice(self, message: dict[str, Any]) -> None:
        method, said = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requested.append(said["request"]["url"])
        elif method == "Runtime.consoleAPICalled" and said["type"] in {"error", "warning", "assert"}:
            self.complaints.append(json.dumps(said["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(said["exceptionDetails"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")


_CODES = {"Home": 36, "End": 35, "Enter": 13, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}


class Browser:
    """A running Chromium."""

    def __init__(self, address: str) -> None:
        self._address = address

    @contextlib.contextmanager
    def page(self, *, hurried: bool = True) -> Iterator[Page]:
        """Open a tab with a profile of its own for as long as the `with` lasts; hurried, its intervals are a tenth."""
        with connect(self._address, max_size=None, proxy=None) as whole:
            browser = Session(whole)
            profile = browser.command("Target.createBrowserContext")["browserContextId"]
            target = browser.command("Target.createTarget", url="about:blank", browserContextId=profile)["targetId"]
            address = f"{self._address.partition('/devtools/')[0]}/devtools/page/{target}"
            try:
                with connect(address, max_size=None, proxy=None) as connection:
                    yield Page(connection, hurried=hurried)
            finally:
                browser.command("Target.disposeBrowserContext", browserContextId=profile)


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Run Chromium with a profile of its own, for as long as the `with` lasts."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Browser(_address(Path(folder) / "DevToolsActivePort", process))
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def tab_without_network() -> Iterator[Page]:
    """Run Chromium with one tab that reaches no network: it opens files of this disk alone."""
    with running_browser() as browser, browser.page() as tab:
        tab.command("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1,
                    uploadThroughput=-1)  # fmt: skip
        yield tab


def _address(file: Path, process: "subprocess.Popen[bytes]") -> str:
    end_s = time.monotonic() + _START_S_MAX
    while time.monotonic() < end_s and process.poll() is None:
        lines = file.read_text().split("\n") if file.exists() else []
        if len(lines) > 1:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise RuntimeError("chromium did not start")
