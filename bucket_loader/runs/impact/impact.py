"""The impact of a plan: which features change for whom.

plan, memory --gathered--> contexts before and after --rules--> flips --> counts, and lists on disk
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from bucket_loader.config import Pipeline
from bucket_loader.model import COMPANY, Edition, text_array
from bucket_loader.planning import Plan
from bucket_loader.reporting import Becomes, Impact
from bucket_loader.runs.impact.asked import WHOSE, Asked, asked_of, is_of_users, why_outside
from bucket_loader.runs.impact.contexts import Contexts, ContextsOf
from bucket_loader.runs.impact.definitions import Feature
from bucket_loader.runs.impact.flips import Flips
from bucket_loader.runs.impact.gathered import Gathered, gathered
from bucket_loader.runs.impact.lines import Lines
from bucket_loader.runs.impact.samples import Prediction, Samples
from bucket_loader.state import State

SHOWN: Final = 20  # of each feature, where nobody asked for all


@dataclass(frozen=True)
class Question:
    """What is asked of a plan's impact.

    Attributes:
        features: the features that are looked at.
        edition: how the API evaluates them.
        now_ms: the time that rules about days ago start from, in milliseconds since the epoch.
        is_whole: whether every context is listed in which something changes or is unknown; else the first ones.
        samples: how many predictions are kept, to be asked of the API.
    """

    features: Sequence[Feature]
    edition: Edition
    now_ms: float
    is_whole: bool = False
    samples: int = 0


@dataclass(frozen=True)
class Found:
    """What came of it.

    Attributes:
        impact: the impact.
        predictions: some of the answers that it predicts.
    """

    impact: Impact
    predictions: Sequence[Prediction]


@contextmanager
def impact_of(plan: Plan, pipeline: Pipeline, state: State, question: Question) -> Iterator[Found]:
    """Find the impact of a plan; its lists are there until the end.

    Raises:
        StateError: a file of memory is not what was written.
        OSError: the disk refuses.
    """
    wanted = [whose for whose in WHOSE if whose == COMPANY.name or any(map(is_of_users, question.features))]
    asked = {whose: Asked.of(whose, question.features) for whose in wanted}
    names = dict.fromkeys(name for feature in question.features for name in asked_of(feature))
    outside = [name for name in names if why_outside(name) is not None]
    with ExitStack() as stack:
        lists = _Lists(*(stack.enter_context(Lines(plan.folder)) for _ in range(2)))
        found = stack.enter_context(gathered(plan, pipeline, state, asked))
        tally = _Tally(question, lists, found)
        contexts = ContextsOf(found, question.edition, outside)
        tally.take(contexts.companies(), [one for one in question.features if not is_of_users(one)])
        if found.is_of_users:
            tally.take(contexts.users(), [one for one in question.features if is_of_users(one)])
        yield Found(tally.impact(plan), tally.samples.kept())


@dataclass(frozen=True)
class _Lists:
    """Where something changes, and where nobody can say."""

    flips: Lines
    unknown: Lines


class _Tally:
    """What was found so far."""

    def __init__(self, question: Question, lists: _Lists, found: Gathered) -> None:
        self._question, self._lists, self._database = question, lists, found.database
        self._becomes = {feature.key: Counter[str]() for feature in question.features}
        self._whys = {feature.key: Counter[str]() for feature in question.features}
        self.samples = Samples(question.samples)
        self._database.execute("CREATE TABLE flipped (company VARCHAR, member VARCHAR)")

    def take(self, blocks: Iterator[Contexts], features: Sequence[Feature]) -> None:
        """Hold features against contexts."""
        for contexts in blocks if features else ():
            for feature in features:
                flips = Flips.of(feature, contexts, self._question.now_ms, self._question.edition)
                self._count(flips)
                self._list(flips)
                self.samples.take(flips)

    def _count(self, flips: Flips) -> None:
        counts = {name: int(getattr(flips, name).sum()) for name in ("on", "off", "variant", "unknown")}
        counts["unchanged"] = flips.contexts.count - sum(counts.values())
        self._becomes[flips.feature.key].update(counts)
        self._whys[flips.feature.key].update(flips.whys())
        if len(flips.flipped):
            self._note_flipped(flips)

    def _note_flipped(self, flips: Flips) -> None:
        """Note for whom something changes: each counts once, however many features change."""
        ids = (
            [of[place] for place in flips.flipped.tolist()] for of in (flips.contexts.companies, flips.contexts.users)
        )
        companies, users = (text_array([None if one is None else one.encode() for one in some]) for some in ids)
        self._database.register("some_flipped", pa.table({"company": companies, "member": users}))
        self._database.execute("INSERT INTO flipped SELECT DISTINCT * FROM some_flipped")
        self._database.unregister("some_flipped")

    def _list(self, flips: Flips) -> None:
        key, most = flips.feature.key, None if self._question.is_whole else SHOWN
        for place in flips.flipped.tolist():
            if not self._lists.flips.takes(key, most):
                break
            self._lists.flips.add(key, flips.told(place))
        for place, why in flips.unknowns():
            if not self._lists.unknown.takes(key, most):
                break
            self._lists.unknown.add(key, flips.told_unknown(place, why))

    def impact(self, plan: Plan) -> Impact:
        """Return all that was found."""
        query = "SELECT count(DISTINCT company), count(DISTINCT member) FILTER (company IS NULL) FROM flipped"
        ((companies, users),) = self._database.execute(query).fetchall()
        return Impact(
            pipeline=plan.manifest.pipeline,
            run=plan.manifest.run,
            features={key: Becomes(**counts) for key, counts in self._becomes.items()},
            versions={feature.key: feature.version for feature in self._question.features},
            companies=companies,
            users=users,
            whys={key: dict(whys.most_common()) for key, whys in self._whys.items()},
            flips=self._lists.flips,
            unknown=self._lists.unknown,
        )
