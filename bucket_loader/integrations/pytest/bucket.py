"""The fixture `bucket`: one environment of an emulator, in the words of a test."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any, Final, Unpack
from urllib.parse import quote, urlencode

from bucket_loader.integrations.pytest.control import Control
from bucket_loader.integrations.pytest.records import Record, Wanted, described, nearest, type_of

_WITHIN_S: Final = 2.0
_LOOK_S_MAX: Final = 0.5  # a request that came first may be accepted last: all is looked at again after that time
_UNKNOWN_KEY: Final = 401
_REFUSED_MAX: Final = 1000  # what the emulator keeps


@dataclass(frozen=True)
class User:
    """A user, as Bucket knows it now."""

    id: str
    attributes: Mapping[str, Any]
    companies: Sequence[str]
    default_company: str | None
    events: int


@dataclass(frozen=True)
class Company:
    """A company, as Bucket knows it now."""

    id: str
    attributes: Mapping[str, Any]
    users: Sequence[str]
    events: int


@dataclass(frozen=True)
class Refused:
    """A request that was refused.

    Attributes:
        request: its number.
        status: of the answer.
        method: of HTTP.
        path: without the query.
        error: why.
        wrong: the mistakes in its body, each with the item that it is in, or None.
    """

    request: int
    status: int
    method: str
    path: str
    error: str
    wrong: Sequence[tuple[str, str | None]]

    def __str__(self) -> str:
        lines = [f"request {self.request}: {self.status} {self.method} {self.path}: {self.error}"]
        return "\n".join([*lines, *(f"    sent: {item}" for _, item in self.wrong if item is not None)])


class Bucket:
    """A local Bucket API with keys, features and records of its own.

    Attributes:
        url: the base URL for clients.
        secret_key: for servers.
        publishable_key: for browsers.
    """

    def __init__(self, url: str, environment: Mapping[str, str], features: object = None) -> None:
        self.url: Final = url
        self.secret_key: Final = environment["secretKey"]
        self.publishable_key: Final = environment["publishableKey"]
        self._control = Control(f"{url}/_emulator/environments/{quote(environment['name'], safe='')}")
        self._of_nobody = Control(f"{url}/_emulator")
        self._features = features
        self._began_s = time.time()

    # --- what is there --------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget all that was sent, and define what the option `bucket_features` says; each test begins with this."""
        self._control.call("POST", "/reset")
        if self._features is not None:
            self._control.call("PUT", "/features", self._features)
        self._began_s = time.time()

    def flag(self, key: str, *, on: bool, config: str | None = None, payload: object = None) -> None:
        """Turn a flag on or off for everybody, whatever its rules say; one that is not there is made.

        Args:
            key: the flag.
            on: whether it is on.
            config: the key of the variant of its config.
            payload: what the variant holds.
        """
        variant = {} if config is None else {"config": {"key": config, "payload": payload}}
        self._control.call("PUT", f"/features/{quote(key, safe='')}", {"isEnabled": on, **variant})

    def define(self, rules: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Define all flags anew.

        Args:
            rules: for each flag the filter that says for whom it is on, or a list of them, one of which is enough; or a
                list of whole definitions, as in the answer of GET /features.
        """
        whole = [_definition(key, of) for key, of in rules.items()] if isinstance(rules, Mapping) else list(rules)
        self._control.call("PUT", "/features", {"features": whole})

    def fault(self, *faults: Mapping[str, Any], seed: int = 1) -> None:
        """Order what should go wrong, in place of what was ordered before; nothing, if nothing is given.

        Args:
            faults: `{"kind": "status", "status": 503, "times": 2}` or another of docs/emulator.md.
            seed: what chance comes from.
        """
        self._control.call("PUT", "/faults", {"seed": seed, "faults": list(faults)} if faults else {})

    def snapshot(self) -> Mapping[str, Any]:
        """Return everything that is there, for `restore`."""
        found: Mapping[str, Any] = self._control.read("/snapshot")
        return found

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Be as at a snapshot again, or as in one that was kept in a file."""
        self._control.call("PUT", "/snapshot", snapshot)

    # --- what was sent --------------------------------------------------------------------------------------------

    def user(self, user_id: str | int) -> User:
        """Return a user.

        Raises:
            LookupError: none with this id has arrived.
        """
        __tracebackhide__ = True
        found = self._seen("users", user_id)
        return User(found["userId"], found["attributes"], found["companies"], found["defaultCompany"], found["events"])

    def company(self, company_id: str | int) -> Company:
        """Return a company.

        Raises:
            LookupError: none with this id has arrived.
        """
        __tracebackhide__ = True
        found = self._seen("companies", company_id)
        return Company(found["companyId"], found["attributes"], found["users"], found["events"])

    def records(self, **wanted: Unpack[Wanted]) -> list[Record]:
        """Return the records that have arrived and are like this, in their order."""
        return [record for record in self._arrived(type_of(wanted)) if not record.differences(wanted)]

    def expect(self, *, within: float = _WITHIN_S, **wanted: Unpack[Wanted]) -> Record:
        """Return the first record that is like this; wait for it if it has not arrived yet.

        Args:
            within: for how many seconds it is waited for.
            wanted: what the record should say: `event="signed up", user="u1", attributes={"plan": "pro"}`.

        Raises:
            AssertionError: there is none. It shows the nearest record, and how that differs.
        """
        __tracebackhide__ = True
        arrived, found = self._wait(within, wanted)
        if found is not None:
            return found
        raise AssertionError(f"not sent within {within:g} s: {described(wanted)}\n{nearest(arrived, wanted)}")

    def expect_none(self, *, within: float = 0, **wanted: Unpack[Wanted]) -> None:
        """Make sure that no record like this has arrived since the test began.

        What is on its way is not seen: first expect something that is sent later, or give a time to wait.

        Args:
            within: for how many seconds more none may arrive; the call always takes that time.
            wanted: what a record would say.

        Raises:
            AssertionError: there is one.
        """
        __tracebackhide__ = True
        _, found = self._wait(within, wanted)
        if found is not None:
            raise AssertionError(f"sent, with request {found.request}: {described(wanted)}\n    {dict(found.item)}")

    @property
    def refused(self) -> list[Refused]:
        """The requests that were refused, in their order."""
        return _refused(self._control)

    def told(self) -> str:
        """Return what a person wants to know of a test that failed: what arrived, and what was refused."""
        try:
            counts, refused, strange = self._control.read("/state"), self.refused, self._with_unknown_keys()
        except (OSError, LookupError, ValueError) as error:  # a test may have ended it, or taken this environment away
            return f"what arrived cannot be shown: {error}"
        names = [f"{name} {count}" for name, count in counts.items() if count and name not in {"requests", "refused"}]
        lines = [f"arrived: {', '.join(names) or 'nothing'}"]
        lines += [f"refused: {len(refused)} of {counts['requests']} requests", *map(str, refused)]
        if strange:
            lines += ["refused since then, from whichever test, since nobody has this key:", *map(str, strange)]
        return "\n".join(lines)

    # --- how ------------------------------------------------------------------------------------------------------

    def _seen(self, kind: str, subject_id: str | int) -> Any:  # noqa: ANN401  # JSON
        __tracebackhide__ = True
        try:
            return self._control.read(f"/{kind}/{quote(str(subject_id), safe='')}")
        except LookupError as error:
            raise LookupError(f"{error}: {subject_id}") from None

    def _arrived(self, kind: str) -> list[Record]:
        lines = self._control.lines(f"/journal?{urlencode({'type': kind})}")
        return [Record(line["type"], line["item"], line["request"]) for line in lines]

    def _wait(self, within_s: float, wanted: Wanted) -> tuple[list[Record], Record | None]:
        """Return all records of the kind, and the first that is wanted, as soon as there is one."""
        kind, end_s = type_of(wanted), time.monotonic() + within_s
        while True:
            left_s = end_s - time.monotonic()
            arrived = self._arrived(kind)
            found = next((record for record in arrived if not record.differences(wanted)), None)
            if found is not None or left_s <= 0:
                return arrived, found
            after = max((record.request for record in arrived), default=0)
            wait_s = min(left_s, _LOOK_S_MAX)
            query = urlencode({"after": after, "type": kind, "wait": f"{ceil(wait_s * 1000)}ms"})
            self._control.call("GET", f"/journal?{query}", wait_s=wait_s)

    def _with_unknown_keys(self) -> list[Refused]:
        return [one for one in _refused(self._of_nobody, since_s=self._began_s) if one.status == _UNKNOWN_KEY]


def _refused(control: Control, *, since_s: float = 0) -> list[Refused]:
    latest = control.read(f"/requests?refused=true&limit={_REFUSED_MAX}")["requests"]
    return [
        Refused(one["request"], one["status"], one["method"], one["path"], one["error"],
                [(wrong["message"], wrong["item"]) for wrong in one["wrong"]])
        for one in reversed(latest)
        if datetime.fromisoformat(one["at"]).timestamp() >= since_s
    ]  # fmt: skip


def _definition(key: str, rules: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    filters = [rules] if isinstance(rules, Mapping) else rules
    return {"key": key, "targeting": {"version": 1, "rules": [{"filter": one} for one in filters]}}
