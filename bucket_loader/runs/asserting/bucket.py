"""What the emulator holds after a rehearsal, asked over HTTP as any client asks it."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from bucket_loader.model import UsageError


@dataclass(frozen=True)
class Bucket:
    """An emulator that runs.

    Attributes:
        url: where.
        secret_key: what evaluates features.
    """

    url: str
    secret_key: str

    def counts(self) -> dict[str, int]:
        """Return how much there is of everything, by name."""
        found: dict[str, int] = self._json("/_emulator/state")
        return found

    def one(self, plural: str, identifier: str) -> dict[str, Any] | None:
        """Return one of the users or companies; None where there is no such one."""
        try:
            found: dict[str, Any] = self._json(f"/_emulator/{plural}/{quote(identifier, safe='')}")
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 404:  # noqa: PLR2004  # not found
                    raise
            return None
        return found

    def journal(self) -> Iterator[dict[str, Any]]:
        """Return every item that was delivered, in order: `{request, type, item}`."""
        with self._opened("/_emulator/journal") as answer:
            yield from map(json.loads, answer)

    def define(self, features: Any) -> list[str]:  # noqa: ANN401  # JSON
        """Define features; return their keys.

        Raises:
            UsageError: they are malformed.
        """
        body = {"features": features} if isinstance(features, list) else features
        request = urllib.request.Request(  # noqa: S310  # our own emulator, on loopback
            f"{self.url}/_emulator/features", json.dumps(body).encode(), method="PUT"
        )
        try:
            urllib.request.urlopen(request).close()  # noqa: S310
        except urllib.error.HTTPError as error:
            raise UsageError(said(error), hint="write the features as GET /features gives them") from None
        return [feature["key"] for feature in self._json("/_emulator/features")["features"]]

    def end_faults(self) -> None:
        """Let nothing go wrong from now on: what was loaded is looked at, and no longer tried."""
        self._put("/_emulator/faults", {})

    def put_rejected(self, rows: Mapping[str, Any]) -> None:
        """Hand in the rows that were rejected and never sent, for the page."""
        self._put("/_emulator/rejected", rows)

    def evaluated(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Return what each feature is in a context, by its key.

        Raises:
            UsageError: the context is not one that the API takes.
        """
        query = urlencode({"contextJson": json.dumps(context)})
        try:
            found: dict[str, Any] = self._json(f"/features/evaluated?{query}")["features"]
        except urllib.error.HTTPError as error:
            raise UsageError(
                f"the context is refused: {said(error)}", hint="correct what the assert file asks of `features:`"
            ) from None
        return found

    def _put(self, path: str, body: Mapping[str, Any]) -> None:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), method="PUT")  # noqa: S310
        urllib.request.urlopen(request).close()  # noqa: S310

    def _json(self, path: str) -> Any:  # noqa: ANN401  # JSON
        with self._opened(path) as answer:
            return json.load(answer)

    def _opened(self, path: str) -> Any:  # noqa: ANN401  # the library's own
        headers = {"Authorization": f"Bearer {self.secret_key}"}
        return urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers))  # noqa: S310


def said(error: urllib.error.HTTPError) -> str:
    """Return why the emulator refuses something, and let go of its answer."""
    with error:
        found = json.load(error)["error"]
    return "; ".join(one["message"] for one in found.get("validationErrors", [])) or str(found.get("message", ""))
