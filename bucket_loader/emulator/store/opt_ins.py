"""Who has opted into what: users, and companies with all their users. Source: BROW from 1.6 (`setOptIn`)."""

from typing import Final, Literal, NamedTuple, TypeAlias

from bucket_loader.model import Context

Scope: TypeAlias = Literal["user", "company"]
TYPE: Final = "opt-in"  # of the calls, in the journal


class OptedIn(NamedTuple):
    """Whether a user and its company have opted into a feature."""

    user: bool
    company: bool


class OptIns:
    """The opt-ins of one environment. They outlive definitions: whoever has opted in has done so for a key."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, Scope], set[str]] = {}

    def put(self, key: str, scope: Scope, identifier: str, *, opted_in: bool) -> None:
        """Note that a user or company has opted into a feature, or no longer has."""
        ids = self._ids.setdefault((key, scope), set())
        (ids.add if opted_in else ids.discard)(identifier)

    def forget(self, scope: Scope, identifier: str) -> None:
        """Forget a user or company that was deleted."""
        for (_, scope_of_these), ids in self._ids.items():
            if scope_of_these == scope:
                ids.discard(identifier)

    def of(self, key: str, context: Context) -> OptedIn:
        """Return what a context has opted into."""
        return OptedIn(self._has(key, "user", context), self._has(key, "company", context))

    def _has(self, key: str, scope: Scope, context: Context) -> bool:
        return context.get(f"{scope}.id") in self._ids.get((key, scope), ())
