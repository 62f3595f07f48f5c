"""One session of tests: which emulator it uses, and the environment there that is its own."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bucket_loader.integrations.pytest import URL_VARIABLE
from bucket_loader.integrations.pytest.bucket import Bucket
from bucket_loader.integrations.pytest.control import Control
from bucket_loader.integrations.pytest.process import option, start
from bucket_loader.integrations.pytest.shared import ask

_ENVIRONMENTS: Final = "/_emulator/environments"
_NAME_BYTES: Final = 3  # so that sessions which share an emulator have other names


@contextlib.contextmanager
def opened(config: pytest.Config, port: int | None) -> Iterator[Bucket]:
    """Make an environment for as long as the `with` lasts, in an emulator that runs, is shared, or is started."""
    with _emulator(config, port) as url:
        control = Control(url + _ENVIRONMENTS)
        name = f"{os.environ.get('PYTEST_XDIST_WORKER', 'pytest')}-{secrets.token_hex(_NAME_BYTES)}"
        environment = _made(control, name)
        yield Bucket(url, environment, _features(config))
        with contextlib.suppress(OSError, LookupError):  # it may be gone before
            control.call("DELETE", f"/{name}")


def _made(control: Control, name: str) -> Any:  # noqa: ANN401  # JSON
    try:
        return json.loads(control.call("POST", "", {"name": name}))
    except (OSError, LookupError, ValueError) as error:
        named = os.environ.get(URL_VARIABLE)
        if not named:
            raise
        advice = "start one with `bucket-loader emulator`, or unset the variable"
        pytest.fail(f"{URL_VARIABLE} is {named!r}, which is no emulator that runs: {error}\n{advice}", pytrace=False)


@contextlib.contextmanager
def _emulator(config: pytest.Config, port: int | None) -> Iterator[str]:
    if url := os.environ.get(URL_VARIABLE):
        yield url.rstrip("/")
    elif port is not None:
        yield ask(port)
    else:
        process = start(config)
        try:
            yield process.url
        finally:
            process.stop()


def _features(config: pytest.Config) -> Any:  # noqa: ANN401  # JSON
    name = option(config, "features")
    if name is None:
        return None
    try:
        return json.loads((_folder(config) / name).read_bytes())
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"bucket_features: {name}: {error}") from error


def _folder(config: pytest.Config) -> Path:
    """Return the folder that a file's name is written from: the one of the ini file, if it stands there."""
    return config.invocation_params.dir if config.getoption("bucket_features") is not None else config.rootpath
