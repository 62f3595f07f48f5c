"""Guesses of scores: which scale their values have, or which words stand for which score."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bucket_loader.runs.init.evidence import Column

_NUMBER: Final = re.compile(r"\d{1,3}(?:\.\d+)?")
_NPS: Final = re.compile(r".*(?:nps|promoter|recommend|likely|likelihood).*")
_STRONG: Final = re.compile(
    r"(?:.*_)?(?:nps|csat|ces|score|rating|ratings|stars?|satisfaction|satisfied|recommend|likely|likelihood|happy|happiness|effort|sentiment)"
    r"(?:_.*)?|.*(?:how_likely|how_satisfied|how_would_you_rate|recommend_us).*"
)
# The scales that surveys have, smallest first.
_RARE: Final = 100  # one of so many scores is a mistake, where nearly all others are of a smaller scale
_NEARLY: Final = 0.95  # of the values are numbers: a second line of a survey's names is none
_SCALES: Final = ((1, 5), (0, 1), (0, 5), (1, 7), (0, 10), (0, 100))
_WORDS: Final[Mapping[int, str]] = {
    5: "very satisfied, extremely satisfied, completely satisfied, good, good with comment, great, amazing, excellent, "
    "happy, very happy, positive, strongly agree, thumbs up, love it, promoter",
    4: "satisfied, somewhat satisfied, very good, agree, passive",
    3: "neutral, neither satisfied nor dissatisfied, neither agree nor disagree, ok, okay, fair, average",
    2: "dissatisfied, unsatisfied, somewhat dissatisfied, not satisfied, poor, disagree, detractor",
    1: "very dissatisfied, very unsatisfied, extremely dissatisfied, not at all satisfied, bad, bad with comment, "
    "terrible, very poor, unhappy, very unhappy, negative, strongly disagree, thumbs down, hate it",
}
_ANSWERED: Final = {word: score for score, words in _WORDS.items() for word in words.split(", ")}
# Words of a rating that nobody has given.
_UNANSWERED: Final = frozenset(
    {"offered", "unoffered", "not offered", "n/a", "na", "none", "no answer", "skipped", "-"}
)


@dataclass(frozen=True)
class Scale:
    """How scores are given.

    Attributes:
        note: what speaks for it.
        ends: the lowest and the highest; None where words stand for scores.
        answers: what each word stands for.
        has_unanswered: whether other words say that nobody has answered.
    """

    note: str
    ends: tuple[int, int] | None = None
    answers: Mapping[str, int] = field(default_factory=dict)
    has_unanswered: bool = False


def is_called_like_a_score(column: Column) -> bool:
    """Whether a column's name is that of a score."""
    return _STRONG.fullmatch(column.words) is not None


def scale_of(column: Column) -> Scale | None:
    """Guess the scale of a column's scores; None where its values are none."""
    if column.is_empty:
        return None
    return _of_words(column) or _of_numbers(column)


def _of_words(column: Column) -> Scale | None:
    found = {text.strip().lower() for text in column.texts}
    answers = {word: _ANSWERED[plain] for word in sorted(found) if (plain := _spoken(word)) in _ANSWERED}
    unanswered = {word for word in found if _spoken(word) in _UNANSWERED}
    if not answers or found - answers.keys() - unanswered:
        return None
    return Scale("its values are words; look at the score of each", answers=answers, has_unanswered=bool(unanswered))


def _spoken(word: str) -> str:
    """Return a word as people would say it: `good_with_comment` and `goodwithcomment` have blanks in between."""
    return word.replace("_", " ").replace("withcomment", " with comment").replace("  ", " ")


def _of_numbers(column: Column) -> Scale | None:
    texts = [str(value).strip() for value in column.values if str(value).strip()]
    numbers = [float(text) for text in texts if _NUMBER.fullmatch(text)]
    if column.family not in {"text", "number"} or len(numbers) < _NEARLY * len(texts):
        return None
    low, high = _ends(numbers)
    fitting = [ends for ends in _SCALES if ends[0] <= low and high <= ends[1]]
    if any(number % 1 for number in numbers):
        fitting = [ends for ends in fitting if ends != (1, 5) or _is_in_halves(numbers)]
    if not fitting:
        return None
    note = f"its values go from {low:g} to {high:g}"
    if _NPS.fullmatch(column.words) and (0, 10) in fitting and not re.search(r"5|five", column.words):
        return Scale(f"{note}, and it is called like a score from 0 to 10", (0, 10))
    return Scale(note, fitting[0])


def _ends(numbers: list[float]) -> tuple[float, float]:
    """Return the lowest and the highest of the scores, but for those that hardly anybody gave."""
    counted = Counter(numbers)
    usual = [number for number, count in counted.items() if count * _RARE >= len(numbers)]
    kept = usual if sum(counted[number] for number in usual) >= _NEARLY * len(numbers) else list(counted)
    return min(kept), max(kept)


def _is_in_halves(numbers: list[float]) -> bool:
    return all(not number * 2 % 1 for number in numbers)
