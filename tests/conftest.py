"""What many tests share: an emulator, and a workplace whose pipelines go to it."""

import pytest
from workplace import COMPANIES, KEY, Emulator, Workplace

from bucket_loader.delivery import sending
from bucket_loader.delivery.http import pacing, retry
from bucket_loader.emulator.http.server import running

pytest_plugins = ["tiers", "of_session", "pytester"]


@pytest.fixture(scope="session")
def shared_emulator():
    """An emulator for the whole session; `emulator` empties it for each test."""
    with running(secret_key=KEY, publishable_key="pub_test_0123456789") as endpoint:
        yield Emulator(endpoint.url)


@pytest.fixture
def emulator(shared_emulator):
    """An empty emulator without faults."""
    shared_emulator.call("POST", "/_emulator/reset")
    return shared_emulator


@pytest.fixture
def quick(monkeypatch):
    """Shorten what is waited between attempts; what is waited for stays the same."""
    monkeypatch.setattr(retry, "WAIT_S_FIRST", 0.01)
    monkeypatch.setattr(retry, "WAIT_S_MAX", 0.05)
    monkeypatch.setattr(pacing, "PROBE_PERIOD_S", 0.02)
    monkeypatch.setattr(sending, "JUDGED_AFTER_S", 0.0)


@pytest.fixture
def workplace(tmp_path, emulator):
    """An empty workplace whose pipelines go to the emulator."""
    return Workplace(tmp_path, emulator.url)


@pytest.fixture
def companies(workplace):
    """A workplace with three companies to load."""
    workplace.write("accounts.csv", "id,name,seats\n00123,Acme,5\n123,Beta,7\nnull,Gamma,\n")
    workplace.pipeline(COMPANIES)
    return workplace
