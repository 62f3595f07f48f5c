"""Clients that are closed again, and a key that must not be seen."""

import logging
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from scripted_server import KEY
from tiers import require

from bucket_loader.delivery.http.client import Client
from bucket_loader.delivery.http.connection import Route
from bucket_loader.delivery.http.watchdog import Watchdog


@pytest.fixture
def make_client(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Client]]:
    """Make clients of any route; at the end no log of any library may have held the key."""
    caplog.set_level(logging.DEBUG)
    watchdog = Watchdog()
    with ExitStack() as stack:
        stack.callback(watchdog.stop)

        def make(url: str, *, timeout_s: float = 10.0, **route: object) -> Client:
            client = Client(Route(f"{url}/bulk", KEY, timeout_s, **route), watchdog)
            stack.callback(client.close)
            return client

        yield make
    assert KEY not in caplog.text


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make two certificates that sign themselves: one for our loopback address, one for another host."""
    require("openssl")
    folder = tmp_path_factory.mktemp("certificates")
    made = {}
    for name, subject in (("ours", "IP:127.0.0.1"), ("other", "DNS:other.invalid")):
        path = folder / f"{name}.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
             "-addext", f"subjectAltName={subject}", "-keyout", str(folder / "key"), "-out", str(folder / "cert")],
            check=True, capture_output=True,
        )  # fmt: skip
        path.write_bytes((folder / "cert").read_bytes() + (folder / "key").read_bytes())
        made[name] = path
    return made
