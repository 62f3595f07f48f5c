"""Who is let in: what is loaded here may be about real customers, and every web page can reach a laptop's ports.

A page elsewhere can let its own name stand for 127.0.0.1 and then read as if it were at home (DNS rebinding); and it
can send what it cannot read. Against the first the name is looked at, against the second where the page comes from.
"""

from collections.abc import Iterable
from typing import Final

from starlette.types import Message, Scope, Send

from bucket_loader.emulator.answers import JSON_TYPE, Answer, refusal
from bucket_loader.model import is_loopback

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# No other origin may read this, not even as a script, a picture or a style.
_KEPT_HERE: Final = ((b"cross-origin-resource-policy", b"same-origin"), (b"x-content-type-options", b"nosniff"))


class Door:
    """Refuses calls by other names than this machine's own, and changes that another origin asks for."""

    def __init__(self, allow_hosts: Iterable[str] = ()) -> None:
        self._allowed = {"localhost", *(_name(host) for host in allow_hosts)}

    def refuse(self, scope: Scope, *, inside: bool) -> Answer | None:
        """Return the refusal that a call earns, or None.

        Args:
            scope: the call.
            inside: whether it looks into the emulator, and is not one of the API.
        """
        hosts = _values(scope, b"host")
        strange = [name for name in map(_name, hosts) if not (name in self._allowed or is_loopback(name))]
        if strange and is_loopback((scope.get("server") or ("",))[0]):
            return _refusal(421, "The emulator does not answer to this host name; --allow-host NAME lets it")
        if inside and scope["method"] not in _READING and any(_foreign(o, hosts) for o in _values(scope, b"origin")):
            return _refusal(403, "A page of another origin may not change the emulator")
        return None


def kept_here(send: Send) -> Send:
    """Return a `send` whose answers no page of another origin can use."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name for name, _ in _KEPT_HERE}
            rest = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in known]
            message = {**message, "headers": [*rest, *_KEPT_HERE]}
        await send(message)

    return sending


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1").strip().lower() for name, value in scope["headers"] if name.lower() == wanted]


def _name(host: str) -> str:
    """Return a host's name without its port."""
    host = host.strip().lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.removesuffix(".")


def _foreign(origin: str, hosts: list[str]) -> bool:
    return origin.partition("://")[2] not in hosts


def _refusal(status: int, message: str) -> Answer:
    answer = refusal(status, "UNKNOWN_ERROR", message)
    return Answer(status, answer.body, ((b"content-type", JSON_TYPE), *_KEPT_HERE), answer.error)
