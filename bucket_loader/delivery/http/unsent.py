"""What stood in the way of a request of which no byte was sent: what is waited for, and what somebody has to mend."""

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from bucket_loader.model import Outcome, Verdict

PROXY_KEY: Final = Outcome(
    Verdict.MISROUTED,
    message="the proxy asks for a user and a password (407)",
    hint="write both into `destination: proxy`, for example as ${PROXY} that holds http://user:password@host:3128; "
    "nothing was sent",
)
PROXY_KEY_WANTED: Final = 407
# http.client's words; what the proxy says besides is not for a message.
_TUNNEL: Final = re.compile(r"Tunnel connection failed: (\d{3})\b")

# What OpenSSL found wrong with a certificate, by its numbers (X509_V_ERR_*).
_ISSUER: Final = frozenset({2, 18, 19, 20, 21, 27})
_DATES: Final = frozenset({9, 10})
_HOST: Final = frozenset({62, 64})


def unsent(error: Exception, kind: str) -> Outcome:
    """Return what an attempt came to that ended before its first byte was sent.

    Args:
        error: what ended it.
        kind: its name for a message, where nothing better is known.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Outcome(Verdict.MISROUTED, message=_certificate(cause), hint=_hint(cause))
    if (tunnel := next(filter(None, (_TUNNEL.match(str(cause)) for cause in causes)), None)) is not None:
        status = int(tunnel[1])
        if status == PROXY_KEY_WANTED:
            return PROXY_KEY
        return Outcome(Verdict.NOT_SENT, message=f"the proxy does not let through to the host ({status})")
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if tls is not None and not any(isinstance(cause, _BROKEN_OFF) for cause in causes):
        reason = str(tls.reason or "unknown").lower().replace("_", " ")
        return Outcome(Verdict.MISROUTED, message=f"no TLS connection with the host can be made: {reason}")
    for cause in causes:
        if isinstance(cause, _REASONS):
            return Outcome(
                Verdict.NOT_SENT, message=_reason(cause), nobody_listens=isinstance(cause, ConnectionRefusedError)
            )
    return Outcome(Verdict.NOT_SENT, message=f"no connection could be made ({kind})")


_REASONS: Final = (ConnectionRefusedError, socket.gaierror, TimeoutError)


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused)"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return "no connection is made in time"


# A handshake that was cut is an outage; one that was refused is not.
_BROKEN_OFF: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, ConnectionError, TimeoutError)


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _ISSUER:
        return "the issuer of the TLS certificate is not known here"
    if error.verify_code in _DATES:
        return "the TLS certificate has expired, or is not valid yet"
    if error.verify_code in _HOST:
        return "the TLS certificate is not valid for this host"
    return "the TLS certificate is not valid"


def _hint(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _ISSUER:
        return (
            "where an authority of your own signs it (a proxy that looks into TLS has one), give its file: "
            "`destination: {ca_bundle: /path/to/authority.pem}`; nothing was sent"
        )
    if error.verify_code in _DATES:
        return "renew it, or set this machine's clock; nothing was sent"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    # urllib3 keeps the first cause in `reason`, or as an argument.
    pending = [error]
    while pending:
        cause = pending.pop()
        yield cause
        pending += [inner for inner in (getattr(cause, "reason", None), *cause.args) if isinstance(inner, Exception)]
