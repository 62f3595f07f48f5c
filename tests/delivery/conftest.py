"""Waits that a test can wait for."""

import pytest
from bench import Bench

from bucket_loader.delivery import sending
from bucket_loader.delivery.http import pacing, retry


@pytest.fixture
def quick(monkeypatch):
    """Shorten what is waited between attempts; what is waited for stays the same."""
    monkeypatch.setattr(retry, "WAIT_S_FIRST", 0.01)
    monkeypatch.setattr(retry, "WAIT_S_MAX", 0.05)
    monkeypatch.setattr(pacing, "PROBE_PERIOD_S", 0.02)
    monkeypatch.setattr(sending, "JUDGED_AFTER_S", 0.0)


@pytest.fixture
def bench(tmp_path, emulator, quick):
    """A bench that delivers to the emulator."""
    return Bench(tmp_path, emulator.url)
