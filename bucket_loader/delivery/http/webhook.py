"""One message to a webhook. Its path is a secret, as a key is; its answer is read no further than it has to be."""

from urllib.parse import urlsplit

import requests
import urllib3

from bucket_loader.config import Destination, Notify
from bucket_loader.delivery.http.connection import PATH_KEY, Connection, Route
from bucket_loader.delivery.http.watchdog import Watchdog
from bucket_loader.model import ThreadsError

_TAKEN, _REDIRECTS = range(200, 300), range(300, 400)


def post_to_webhook(hook: Notify, body: bytes, way: Destination, timeout_s: float) -> str | None:
    """Post a message once; return why it was not taken, or None. No redirect is followed.

    Args:
        hook: where to.
        body: JSON.
        way: the destination whose proxy and certificates are used.
        timeout_s: seconds from connecting to the answer.
    """
    try:
        watchdog = Watchdog()
    except ThreadsError as error:
        return error.message
    route = _route(hook, way, timeout_s)
    connection = Connection(route, watchdog)
    try:
        return _post(connection, route.url, body)
    finally:
        connection.close()
        watchdog.stop()


def _route(hook: Notify, way: Destination, timeout_s: float) -> Route:
    address = hook.webhook.get_secret_value()
    parts = urlsplit(address)
    place = f"{parts.scheme}://{parts.netloc}"
    return Route(
        url=f"{place}{PATH_KEY}",
        key=address.removeprefix(place).removeprefix("/"),
        key_in_path=True,
        timeout_s=timeout_s,
        proxy=way.proxy,
        ca_bundle=str(way.ca_bundle) if way.ca_bundle else None,
    )


def _post(connection: Connection, url: str, body: bytes) -> str | None:
    """Post a body; a status that says it is taken is believed, whatever comes of the rest of the answer."""
    trace, is_late, kind = connection.trace, False, ""
    try:
        connection.send("POST", url, body)
        connection.receive()
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        is_late, kind = isinstance(error, TimeoutError), type(error).__name__  # its text may hold the address
    status = connection.status
    if status in _TAKEN and trace.written:
        return None
    if status in _REDIRECTS:
        return f"it redirects elsewhere (status {status}), which is not followed"
    if status:
        return f"it answers with status {status}"
    if trace.expired or is_late:
        return "it takes too long"
    return f"no answer could be read ({kind})" if trace.sent else f"it cannot be reached ({kind})"
