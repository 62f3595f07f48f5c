"""The two sinks: one that answers at once, one that is slow and admits only so much.

Both read a request whole before they answer, listen on a free port of this machine, keep what they write in a temporary
folder, and are stopped at the end.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.request import urlopen

STARTS_S_MAX: Final = 10.0
# `return` alone would answer before the body has come. A mirror reads it first; then a file that is there refuses the
# POST, and that becomes the answer.
NGINX: Final = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  open_file_cache max=10;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    root {folder};
    location = /bulk {{ mirror /read; error_page 405 =200 @done; }}
    location = /read {{ internal; return 204; }}
    location @done {{ return 200 '{{"success":true}}'; }}
    location = /counts {{ stub_status; }}
  }}
}}
"""


@dataclass
class Sink:
    """A server that takes POST /bulk.

    Attributes:
        url: its base.
        name: what it is, for the report.
        looks: how often it was asked for its counts, which nginx counts too.
    """

    url: str
    name: str
    looks: int = 0

    def requests(self) -> int:
        """Count the POSTs that it answered since it started."""
        text = self._counts()
        if text.startswith("{"):
            return int(json.loads(text)["requests"])
        self.looks += 1
        _accepted, _handled, requests = text.splitlines()[2].split()
        return int(requests) - self.looks

    def history(self) -> dict[str, Any]:
        """Return what the limited sink admitted and refused, in tenths of a second since its first request."""
        return dict(json.loads(self._counts()))

    def forget(self) -> None:
        """Begin the limited sink's history anew."""
        with urlopen(f"{self.url}/forget", data=b""):  # noqa: S310  # our own
            pass

    def move(self, records_per_second: float) -> None:
        """Let the limited sink admit so many from here on."""
        with urlopen(f"{self.url}/admit/{records_per_second}", data=b""):  # noqa: S310  # our own
            pass

    def _counts(self) -> str:
        with urlopen(f"{self.url}/counts") as answer:  # noqa: S310  # our own
            return str(answer.read().decode())


@contextmanager
def at_once() -> Iterator[Sink]:
    """Serve a sink that answers at once: nginx, or without it a small server of our own."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if nginx is None:
        with limited(latency_s=0, records_per_second=0, burst=0) as sink:
            yield Sink(sink.url, "a small asyncio server (no nginx here)")
        return
    with TemporaryDirectory(prefix="benchmark-sink-") as folder:
        port = _free_port()
        Path(folder).chmod(0o755)  # started by root, nginx works as somebody else
        Path(folder, "bulk").touch()
        Path(folder, "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        words = [nginx, "-e", f"{folder}/errors", "-p", folder, "-c", "nginx.conf"]
        with _served(subprocess.Popen(words)):  # noqa: S603  # our own words
            _wait_for(port)
            yield Sink(f"http://127.0.0.1:{port}", "nginx")


@contextmanager
def limited(*, latency_s: float = 0.08, records_per_second: int = 20_000, burst: int = 500) -> Iterator[Sink]:
    """Serve a sink that answers after a while, and admits only so many records a second."""
    words = [latency_s, records_per_second, burst]
    server = subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, str(Path(__file__).with_name("limited_sink.py")), *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with _served(server):
        if server.stdout is None:
            raise AssertionError
        yield Sink(f"http://127.0.0.1:{int(server.stdout.readline())}", "a limited sink")


@contextmanager
def _served(server: "subprocess.Popen[Any]") -> Iterator[None]:
    try:
        yield
    finally:
        server.terminate()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + STARTS_S_MAX
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit("the sink did not start; see whether nginx can run here")
