"""A single file over https: fetched once into a temporary file, whole or not at all, and read from there."""

import http.client
import os
import ssl
import tempfile
import urllib.error
import urllib.request
import weakref
from collections.abc import Sequence
from typing import IO, BinaryIO, Final
from urllib.parse import urlsplit, urlunsplit

from bucket_loader.model import BucketLoaderError, SourceError, SourceUnavailableError
from bucket_loader.sources.files.input_file import Partitions, digest_of

_READ_BYTES: Final = 1024 * 1024
_TIMEOUT_S: Final = 60
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_PROXY_REFUSAL: Final = "Tunnel connection failed: 407"  # the standard library's words, in front of the proxy's
# Answers that a later attempt may better.
_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpFile:
    """What one URL gives. It is fetched when first opened; later readings are of the same bytes.

    Attributes:
        name: the URL without its query, where a signed one has its secret.
        partitions: none.
        travels: no: a signed URL is a secret, and each process would fetch it again.
    """

    partitions: Partitions = ()
    travels = False

    def __init__(self, url: str) -> None:
        self._url = url
        parts = urlsplit(url)
        self.name = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        self._kept: int | None = None

    def open(self, *, at_once: bool = False) -> BinaryIO:  # noqa: ARG002  # it is fetched whole anyway
        """Open what was fetched."""
        if self._kept is None:
            with tempfile.TemporaryFile() as kept:
                self._fetch(kept)
                self._kept = os.dup(kept.fileno())
            weakref.finalize(self, os.close, self._kept)
        stream = os.fdopen(os.dup(self._kept), "rb")
        stream.seek(0)
        return stream

    def size(self) -> int | None:
        """Return nothing: it would have to be asked for."""
        return None

    def identity(self) -> Sequence[object]:
        """Return what the server says of it now: its tag, time and length; where it says neither, a digest."""
        with self._asked() as answer:
            tags = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
            length = answer.headers.get("Content-Length")
        return (*tags, length) if any(tags) else self.content()

    def content(self) -> tuple[int, str]:
        """Fetch it again, and return its size and digest."""
        with tempfile.TemporaryFile() as fresh:
            self._fetch(fresh)
            size = fresh.tell()
            fresh.seek(0)
            return size, digest_of(fresh)

    def trouble(self, error: OSError) -> SourceError | None:
        """Word a failure of the disk: what is read is on it."""
        return None if error.errno is None else SourceError(f"{self.name} cannot be read", hint="look at the disk")

    def _fetch(self, kept: IO[bytes]) -> None:
        with self._asked() as answer:
            expected = answer.headers.get("Content-Length")
            if expected is None and not getattr(answer, "chunked", False):
                raise SourceError(
                    f"{self.name} comes without its length, so that one cut short would look whole",
                    hint="download it with a tool that you trust, and load the local file",
                )
            try:
                while data := answer.read(_READ_BYTES):
                    kept.write(data)
            except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
                raise self._unreachable("was cut short") from error
            except OSError as error:
                raise SourceError(
                    f"{self.name} cannot be kept: {error.strerror or type(error).__name__}",
                    hint=f"it is fetched to {tempfile.gettempdir()} first; make room there, or set TMPDIR",
                ) from error
            if expected is not None and kept.tell() != int(expected):
                raise self._unreachable("was cut short")

    def _asked(self) -> http.client.HTTPResponse:
        # The scheme was checked with the pipeline file. Not HEAD: a signed URL is signed for GET.
        request = urllib.request.Request(self._url, headers={"Accept-Encoding": "identity"})  # noqa: S310
        try:
            answer: http.client.HTTPResponse = urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _LATER:
                raise self._unreachable(f"cannot be read: the server answers {error.code}") from None
            raise SourceError(
                f"{self.name} cannot be read: the server answers {error.code}",
                hint="is the address right? a signed one may have expired; "
                "no user or password is ever sent, so what needs one has to be signed",
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._no_answer(getattr(error, "reason", error)) from None
        return answer

    def _no_answer(self, reason: object) -> BucketLoaderError:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return SourceError(
                f"{self.name} cannot be read: the server's certificate is not trusted: {reason.verify_message}",
                hint="a private authority's file goes into SSL_CERT_FILE",
            )
        if _PROXY_REFUSAL in str(reason):
            return SourceError(
                f"{self.name} cannot be read: the proxy asks for a user and a password (407)",
                hint="write both into the variable https_proxy: http://user:password@host:3128",
            )
        return self._unreachable("cannot be reached")

    def _unreachable(self, what: str) -> SourceUnavailableError:
        return SourceUnavailableError(f"{self.name} {what}", hint="look at the network and the server; then run again")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to https only: the rows must not come in the clear."""

    max_redirections = 5

    def redirect_request(  # noqa: PLR0913, PLR0917  # urllib's own
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse what leaves https, but for loopback."""
        parts = urlsplit(newurl)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise urllib.error.HTTPError(req.full_url, code, "redirected to http", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
