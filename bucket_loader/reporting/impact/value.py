"""The impact of a plan, as far as anybody is told of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bucket_loader.model import counted


@dataclass(frozen=True)
class Becomes:
    """What becomes of a feature, in how many contexts: companies, and users where its rules ask for users.

    Attributes:
        on: it turns on.
        off: it turns off.
        variant: it stays on, and has another variant.
        unchanged: it stays as it is.
        unknown: nobody can say.
    """

    on: int = 0
    off: int = 0
    variant: int = 0
    unchanged: int = 0
    unknown: int = 0

    @property
    def flips(self) -> int:
        """In how many it changes."""
        return self.on + self.off + self.variant

    @property
    def looked_at(self) -> int:
        """How many were looked at."""
        return self.flips + self.unchanged + self.unknown


@dataclass(frozen=True)
class Impact:
    """The impact of a plan.

    Attributes:
        pipeline: whose plan it is.
        run: the plan.
        features: what becomes of each feature.
        versions: the version of each.
        companies: for how many companies any feature changes.
        users: for how many users alone, who are in no company.
        whys: for each feature why nobody can say, and how often.
        flips: where something changes, as `--json` prints it; all of it, or the first of each feature.
        unknown: where nobody can say, likewise.
        notes: what else is to be said.
    """

    pipeline: str
    run: str
    features: Mapping[str, Becomes]
    versions: Mapping[str, str]
    companies: int
    users: int
    whys: Mapping[str, Mapping[str, int]]
    flips: Iterable[dict[str, Any]]
    unknown: Iterable[dict[str, Any]]
    notes: Sequence[str] = field(default=())

    @property
    def line(self) -> str:
        """All of it in one line."""
        changing = sum(becomes.flips > 0 for becomes in self.features.values())
        verb = "changes" if changing == 1 else "change"
        whom = [counted(self.companies, "company", "companies")] if self.companies else []
        whom += [counted(self.users, "user")] if self.users else []
        text = f"{counted(changing, 'feature')} {verb} for {' and '.join(whom)}" if changing else "no feature changes"
        unsure = sum(becomes.unknown > 0 for becomes in self.features.values())
        return f"{text}; of {unsure:,} not all is known" if unsure else text

    def counts(self) -> dict[str, dict[str, int]]:
        """Return what becomes of each feature, as `--json` prints it."""
        return {key: asdict(becomes) for key, becomes in self.features.items()}
