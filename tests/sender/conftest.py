"""Clients that are closed again, and a key that must not be seen."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from scripted_server import KEY

from bucket_loader.sender.client import Client, Proof
from bucket_loader.sender.connection import Route, Watchdog


@pytest.fixture
def make_client(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Client]]:
    """Make clients of any route; at the end no log of any library may have held the key."""
    caplog.set_level(logging.DEBUG)
    watchdog = Watchdog()
    with ExitStack() as stack:
        stack.callback(watchdog.stop)

        def make(url: str, *, proven: bool = False, timeout_s: float = 10.0, **route: str) -> Client:
            proof = Proof()
            if proven:
                proof.given.set()
            client = Client(Route(f"{url}/bulk", KEY, timeout_s, **route), proof, watchdog)
            stack.callback(client.close)
            return client

        yield make
    assert KEY not in caplog.text
