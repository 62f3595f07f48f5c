"""Sends lineage beside a run, and never in its way.

    run --tell--> queue --one thread--> OpenLineage's client --> a server, a file, or what its configuration says

What a server of lineage does changes nothing about a run. It is asked by a thread of its own; after a failure it is
asked no more in this call; and at the end of a call nobody waits for it for longer than a few seconds.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from bucket_loader.model import UsageError
from bucket_loader.reporting.events import Listener, NotTold
from bucket_loader.reporting.lineage.facets import event_of
from bucket_loader.reporting.lineage.value import LINEAGE_THREAD, LineageListener, StreamLineage

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient

WAIT_S: Final = 5.0
"""How long the end of a call waits for what is still to be sent."""
_TIMEOUT_S: Final = 3.0
_ENDPOINT: Final = "api/v1/lineage"
_INSTALL: Final = "pip install 'bucket-loader[lineage]'"
_VARIABLES: Final = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT")
# The client would read the address of the code's repository from .git, with the token that may stand in it.
_CONFIG: Final[dict[str, Any]] = {"facets": {"source_code_location": {"disabled": True}}}


def lineage_listener(
    place: str | None, listener: Listener, variables: Mapping[str, str] = os.environ
) -> LineageListener | None:
    """Return who hears of lineage; None where nobody asks for it.

    Args:
        place: an address, or a file; None leaves it to the variables of OpenLineage's client.
        listener: told when lineage cannot be sent.
        variables: the environment's.

    Raises:
        UsageError: the address or file can be none, or the client is not installed.
    """
    if place is not None:
        return LineageSender(_client_of(place), _shown(place), listener)
    if not asks_for_lineage(variables):
        return None
    host = urlsplit(variables.get("OPENLINEAGE_URL", "")).hostname
    return LineageSender(_client_of_configuration, host or "the configured place", listener)


def asks_for_lineage(variables: Mapping[str, str] = os.environ) -> bool:
    """Whether the variables of OpenLineage's client say where lineage goes."""
    if variables.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    return any(name.startswith(_VARIABLES) and value for name, value in variables.items())


class Receiver(Protocol):
    """Takes lineage; whatever it raises ends what it is told in this call."""

    def take(self, one: StreamLineage) -> None:
        """Take a stream's start or end."""

    def close(self) -> None:
        """Have sent all that was taken."""


class LineageSender:
    """Hands the lineage of one call on, in a thread of its own.

    Args:
        connected: returns who receives it.
        place: what to call the place of that.
        listener: told once when it cannot be done.
    """

    def __init__(self, connected: Callable[[], Receiver], place: str, listener: Listener) -> None:
        self._connected, self._place, self._listener = connected, place, listener
        self._waiting: queue.SimpleQueue[Callable[[], StreamLineage] | None] = queue.SimpleQueue()
        self._why: str | None = None
        self._thread = threading.Thread(target=self._send_all, name=LINEAGE_THREAD, daemon=True)

    def tell(self, gathered: Callable[[], StreamLineage]) -> None:
        """Take what is to be sent; it is gathered in the thread."""
        if self._thread.ident is None:
            self._thread.start()
        self._waiting.put(gathered)

    def close(self) -> None:
        """Wait a little until all is sent, and say when it was not."""
        if self._thread.ident is None:
            return
        self._waiting.put(None)
        self._thread.join(WAIT_S)
        why = "it takes too long" if self._thread.is_alive() else self._why
        if why is not None:
            self._listener.tell(NotTold(self._place, why, ended_well=False, whom="the receiver of lineage"))

    def _send_all(self) -> None:
        try:
            receiver = self._connected()
            while (gathered := self._waiting.get()) is not None:
                receiver.take(gathered())
            receiver.close()
        # Transports are plugins, and the parser of SQL is not ours: what any of them raises must not reach the run.
        except BaseException as error:  # noqa: BLE001  # told at the end of the call
            self._why = _reason(error)


class KeptLineage:
    """Keeps how each stream ended, for a program that tells of it itself."""

    def __init__(self) -> None:
        self.ended: list[StreamLineage] = []

    def take(self, one: StreamLineage) -> None:
        """Keep how a stream ended."""
        if one.stage != "START":
            self.ended.append(one)

    def close(self) -> None:
        """Do nothing: all is kept."""


class _Client:
    """OpenLineage's client."""

    def __init__(self, client: "OpenLineageClient") -> None:
        self._client = client

    def take(self, one: StreamLineage) -> None:
        self._client.emit(event_of(one))

    def close(self) -> None:
        self._client.close(_TIMEOUT_S)


def _reason(error: BaseException) -> str:
    """Return why something could not be sent; the error's own text may hold the address, and what was to be sent."""
    if isinstance(error, UsageError):
        return f"{error.message} ({error.hint})"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"it answers with status {status}"
    return f"no event could be sent ({type(error.__cause__ or error).__name__})"


# --- the client ----------------------------------------------------------------------------------------------------


def _client_of(place: str) -> Callable[[], Receiver]:
    """Return what connects to an address, or to a file that events are added to, a line each.

    Raises:
        UsageError: it can be neither, or the client is not installed.
    """
    parts = urlsplit(place)
    is_url = parts.scheme in {"http", "https"}
    if "://" in place and not (is_url and parts.hostname):
        raise UsageError("the address of --lineage is none", hint="write https://lineage.example:5000, or a file")
    if not is_url and not (folder := Path(place).absolute().parent).is_dir():
        raise UsageError(f"lineage cannot be written to {place}: there is no folder {folder}", hint="make the folder")
    _require_client()
    return lambda: _client(_http(place) if is_url else _file(place))


def _client_of_configuration() -> Receiver:
    """Return the client as its own variables and files make it."""
    _require_client()
    return _client(None)


def _require_client() -> None:
    try:
        import openlineage.client  # noqa: F401  # whether it is there
    except ImportError:
        raise UsageError("lineage needs the module openlineage, which is not installed", hint=_INSTALL) from None


def _client(transport: Any) -> Receiver:  # noqa: ANN401  # one of the client's
    from openlineage.client import OpenLineageClient

    logging.getLogger("openlineage").addHandler(logging.NullHandler())  # else Python prints its warnings on stderr
    return _Client(OpenLineageClient(transport=transport, config=_CONFIG))


def _http(url: str) -> Any:  # noqa: ANN401  # the client's
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    parts = urlsplit(url)
    key = os.environ.get("OPENLINEAGE_API_KEY")
    config = {
        "url": f"{parts.scheme}://{parts.netloc}",
        "endpoint": f"{parts.path.strip('/') or _ENDPOINT}" + (f"?{parts.query}" if parts.query else ""),
        "timeout": _TIMEOUT_S,
        "retry": {"total": 0, "status_forcelist": []},
        "auth": {"type": "api_key", "apiKey": key} if key else {},
    }
    return HttpTransport(HttpConfig.from_dict(config))


def _file(path: str) -> Any:  # noqa: ANN401  # the client's
    from openlineage.client.transport.file import FileConfig, FileTransport

    return FileTransport(FileConfig(str(Path(path).absolute()), append=True))


def _shown(place: str) -> str:
    """Return a place without what may be a secret in it."""
    return (urlsplit(place).hostname or "the address") if "://" in place else place
