"""Runs the emulator: in this process until a signal, or in one of its own for as long as a `with` lasts."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict, Unpack

import uvicorn
from starlette.types import ASGIApp

from bucket_loader.emulator.environment import Start
from bucket_loader.emulator.environments import Environments
from bucket_loader.emulator.http.app import build
from bucket_loader.emulator.http.protocol import EmulatorProtocol
from bucket_loader.emulator.store.keys import Keys
from bucket_loader.emulator.store.letters import ReadLetters, no_letters
from bucket_loader.model import EDITIONS, Edition, UsageError

Document: TypeAlias = dict[str, Any] | str | os.PathLike[str]

_KEEP_ALIVE_S: Final = 600  # a client that pauses for minutes must not find its connection closed
_ENDING_S_MAX: Final = 1  # for calls in flight when the end comes
_KILL_AFTER_S: Final = 5
_STDIN_BYTES: Final = 65_536


class EmulatorOptions(TypedDict, total=False):
    """What an emulator is made with; everything may be left out.

    Attributes:
        secret_key: made up when None; with a port or `data_dir` it is the same after each start.
        publishable_key: likewise.
        features: the body of GET /features, or a path to it.
        faults: the body of PUT /_emulator/faults, or a path to it.
        data_dir: where state outlives the process; None for memory.
        evaluation: as of when lists are kept and rules are evaluated, 2026 (since autumn of that year) or 2025.
        strict: whether what Bucket would drop or change without an error is refused.
    """

    secret_key: str | None
    publishable_key: str | None
    features: Document | None
    faults: Document | None
    data_dir: str | os.PathLike[str] | None
    evaluation: Edition
    strict: bool


class ServedOptions(EmulatorOptions, total=False):
    """What only an emulator in this very process can be made with.

    Attributes:
        rejected: where to look for what the loader itself rejected; asked again at each look.
    """

    rejected: ReadLetters


class Options(EmulatorOptions, total=False):
    """The options of the command line.

    Attributes:
        host: what to listen on.
        port: 0 for any free one.
        allow_hosts: names beside `localhost` and loopback addresses that are answered to on loopback.
    """

    host: str
    port: int
    allow_hosts: Sequence[str]


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    allow_hosts: Sequence[str] = (),
    ends_with_stdin: bool = False,
    **options: Unpack[ServedOptions],
) -> None:
    """Serve until SIGTERM or SIGINT; say where and with which keys in one line of JSON on stdout.

    Args:
        host: what to listen on.
        port: 0 for any free one.
        allow_hosts: names beside `localhost` and loopback addresses that are answered to on loopback.
        ends_with_stdin: also end when stdin does, so that a child does not outlive a parent that was killed.
        options: what the emulator is made with.

    Raises:
        UsageError: features or faults are malformed, the address cannot be had, or stdin is nothing that ends.
        StateError: `data_dir` holds something else, or another emulator is using it.
    """
    if ends_with_stdin:
        _refuse_endless_stdin()
    listener = _listen(host, port)
    with contextlib.closing(listener), contextlib.closing(_environments(port, **options)) as environments:
        keys = environments.main.keys
        announcement = {"url": _url(listener), "secret_key": keys.secret, "publishable_key": keys.publishable}
        # Records live long and in great number: looking at them all again and again finds no garbage.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        app = build(environments, allow_hosts)
        server = _Server(_config(app), json.dumps(announcement), environments.end_waiting)
        server.ends_with_stdin = ends_with_stdin
        server.run(sockets=[listener])


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=EmulatorProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it listens, and exits 0 on a signal instead of passing it on.

    Attributes:
        ends_with_stdin: whether the end of stdin is its end too.
    """

    ends_with_stdin = False

    def __init__(self, config: uvicorn.Config, announcement: str, end_waiting: Callable[[], None]) -> None:
        super().__init__(config)
        self._announcement = announcement
        self._end_waiting = end_waiting
        logging.getLogger("uvicorn").setLevel(logging.ERROR)  # a bug shows its traceback; nothing else is said

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.ends_with_stdin:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._read_stdin)
        print(self._announcement, flush=True)  # noqa: T201  # programs read it

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT; the original would raise them again afterwards."""
        signals = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(number, self.handle_exit) for number in signals]
        try:
            yield
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the calls in flight end, but not for long: a fault may hold them for ever."""
        self._end_waiting()
        loop = asyncio.get_running_loop()
        loop.call_later(_ENDING_S_MAX, self._cut)
        loop.call_later(_ENDING_S_MAX + 0.1, self._cancel)
        await super().shutdown(sockets)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def _cancel(self) -> None:
        for task in list(self.server_state.tasks):
            task.cancel()

    def _read_stdin(self) -> None:
        """End as on a signal when stdin has ended; what is written there is nothing to us."""
        if not os.read(sys.stdin.fileno(), _STDIN_BYTES):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.should_exit = True


def _refuse_endless_stdin() -> None:
    """Refuse a stdin that is closed, or a file: nothing says of these that a parent has ended."""
    mode = 0 if sys.stdin is None else os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (mode and sys.stdin.isatty())):
        raise UsageError(
            "stdin is no pipe, so its end says nothing", hint="leave --ends-with-stdin out, or give a pipe"
        )


def _environments(port: int, **options: Unpack[ServedOptions]) -> Environments:
    data_dir, asked = options.get("data_dir"), str(options.get("evaluation", "2026"))
    evaluation = next((edition for edition in EDITIONS if edition == asked), None)
    if evaluation is None:
        raise UsageError(f"there is no evaluation of {asked}", hint=f"give {' or '.join(EDITIONS)}")
    return Environments(
        _keys(port, **options),
        Start(
            _document(options.get("features")),
            _document(options.get("faults")),
            evaluation,
            options.get("strict", False),
            options.get("rejected", no_letters),
        ),
        None if data_dir is None else Path(data_dir),
    )


def _keys(port: int, **options: Unpack[ServedOptions]) -> Keys:
    """Return the keys: those that are given, and for the others the same as before, where a start can be told again."""
    data_dir = options.get("data_dir")
    without_data = Keys.of_port(port) if port else Keys.random()
    keys = without_data if data_dir is None else Keys.kept_in(Path(data_dir))
    return keys.with_given(options.get("secret_key"), options.get("publishable_key"))


def _document(document: Document | None) -> dict[str, Any] | None:
    if document is None or isinstance(document, dict):
        return document
    try:
        decoded = json.loads(Path(document).read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else f"it is not JSON: {error}"
        raise UsageError(f"cannot read {os.fspath(document)}: {why}", hint="give a file of JSON") from error
    if not isinstance(decoded, dict):
        raise UsageError(f"{os.fspath(document)}: not a JSON object", hint="give a file with one JSON object")
    return decoded


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}: {error}", hint="give another --host") from error
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen on {host}:{port}: {error}", hint="--port 0 takes any free port") from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # what one can connect to
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# --- in a process of its own ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """An emulator that runs in a process of its own."""

    url: str
    secret_key: str
    publishable_key: str
    process: "subprocess.Popen[str]"


@contextlib.contextmanager
def running(**options: Unpack[Options]) -> Iterator[Endpoint]:
    """Run an emulator for as long as the `with` lasts.

    Args:
        options: what `serve` takes; by default a free port of the loopback address, memory, and random keys.

    Raises:
        UsageError: it did not start; stderr says why.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", "from bucket_loader.emulator.http.server import serve_as_told; serve_as_told()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_variables(),
    )
    try:
        yield _started(process, options)
    finally:
        _end(process)


def serve_as_told() -> None:
    """Serve with the options on the first line of stdin, until stdin ends: the other side of `running`."""
    serve(**json.loads(sys.stdin.readline()), ends_with_stdin=True)


def _variables() -> dict[str, str]:
    """Let the child import this very package, wherever its working directory is."""
    root = str(Path(__file__).parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root}


def _started(process: "subprocess.Popen[str]", options: Options) -> Endpoint:
    assert process.stdin is not None  # noqa: S101  # narrows the type
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):  # it died already; the next line finds out
        process.stdin.write(json.dumps(options, default=os.fspath) + "\n")
        process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise UsageError("the emulator did not start", hint="what it wrote to stderr says why")
    return Endpoint(**json.loads(line), process=process)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(_KILL_AFTER_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
