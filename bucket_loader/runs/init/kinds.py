"""What a row is: a user, a company, an event, a feedback, a membership; or nothing that Bucket has a record of."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bucket_loader.model import COMPANY, EVENT, FEEDBACK, USER, Kind
from bucket_loader.runs.init.evidence import Column, Sample
from bucket_loader.runs.init.names import tokens_of, words_of
from bucket_loader.runs.init.roles import (
    PLAIN,
    PLAINLY_COMPANY,
    PLAINLY_USER,
    SAID,
    WHICH,
    WHO,
    Names,
    any_of,
    field_column,
    holds_addresses,
    holds_ids,
    is_spread,
    named,
    names,
)

# Words of the names of files and tables, in the singular.
_USERS: Final = frozenset(
    names("user contact people person profile member visitor lead subscriber identity identify employee customer")
)
_COMPANIES: Final = frozenset(
    names(
        """
        company account org organization organisation workspace tenant team group business client customer subscription
        """
    )
)
THINGS: Final = _USERS | _COMPANIES
_EVENTS: Final = frozenset(
    names("event track action log activity usage pageview page click session login interaction hit audit analytics")
)
_FEEDBACK: Final = frozenset(names("feedback nps csat ces survey response rating review satisfaction score"))
_MEMBERSHIPS: Final = frozenset(names("membership member seat belonging"))
_NOTHING: Final = frozenset(
    names(
        """
        invoice payment charge refund transaction product price coupon order payout migration permission setting deal
        opportunity lineitem item credit tax
        """
    )
)
_OF_PERSONS: Final = any_of(
    """
    e_?mail(_?address)? first_?name last_?name full_?name user_?name birth.* dob phone.* mobile.* avatar.* password.*
    last_(sign_in|login|seen).* is_(staff|superuser|admin) role job_?title locale sign_in_count date_joined
    """
)
_OF_COMPANIES: Final = any_of(
    """
    (company|account|org|organi[sz]ation|workspace|tenant|team|business)_?name domain.* website industry employees.*
    (number_of|num)_employees seats?(_.*)? mrr.* arr.* annual_?revenue.* plan.* vat.* owner_?id tier size slug subdomain
    billing_.* trial.* churn.* parent_account.* health_?score contract.* segment number_of_seats company_?size
    contact(_person|_name)? (primary|main)_contact.*
    """
)
_OF_PAIRS: Final = any_of(
    """
    _?id uuid role.* status state .*_at .*_on .*_date is_.* since permissions? invited_by.* accepted active owner admin
    joined.* type position default primary until from to .*e_?mail
    """
)
_OF_SURVEYS: Final = any_of("response_?id recipient_.* collector_?id survey_.* respondent_.* submit_date.* nps_.*")
_AT_TIMES: Final = any_of(
    """
    timestamp occurred_?at event_?(time|timestamp|date|at) original_timestamp time ts date_?time
    (happened|performed|triggered|logged|recorded|used|viewed|visited)_?(at|on|time)
    """
)
_OF_TEXTS: Final = any_of("content body message details description text note post.* votes?")
_FEW: Final = 6  # columns: who, when, how much, why, and an id or two


@dataclass(frozen=True)
class What:
    """What a row is.

    Attributes:
        kind: of record; None where nothing fits.
        reason: what speaks for it, or what it seems to be instead.
        is_pair: whether a row only says which user belongs to which company.
    """

    kind: Kind | None
    reason: str
    is_pair: bool = False


def label_words(label: str) -> frozenset[str]:
    """Return the words of a file's or table's name."""
    return frozenset(tokens_of(words_of(label)))


def what_is(sample: Sample, label: str) -> What:
    """Guess what a row is, from the name of the file or table and from its columns."""
    words = label_words(label)
    if words & _NOTHING and not words & (_EVENTS | _FEEDBACK):
        return What(None, f"by its name a row is one {', '.join(sorted(words & _NOTHING))}")
    for test in (_feedback, _event, _pair, _entity):
        if (found := test(sample, words)) is not None:
            return found
    return What(None, "neither its name nor its columns say what a row is")


def _feedback(sample: Sample, words: frozenset[str]) -> What | None:
    score = field_column(sample, "score", PLAIN["feedback"]["score"])
    comment = field_column(sample, "comment", SAID)
    if words & _FEEDBACK and (score or comment) is not None:
        return What(FEEDBACK, "its name says so")
    if score is not None and sample.called(_OF_SURVEYS):
        return What(FEEDBACK, f"it has scores, in {score.name!r}, and columns of a survey")
    if score is None or _is_about_things(sample):
        return None
    if comment is not None:
        return What(FEEDBACK, f"it has scores and comments, in {score.name!r} and {comment.name!r}")
    has_user = next(named(sample.columns, WHO), None) is not None
    if has_user and len(sample.columns) <= _FEW:
        return What(FEEDBACK, f"it has scores and little else, in {score.name!r}")
    return None


def _is_about_things(sample: Sample) -> bool:
    """Whether the columns are those of users or companies, of whom a score is one attribute among others."""
    return len(sample.called(_OF_COMPANIES)) > 1 or bool(sample.called(r"password.*|is_staff|date_joined"))


def _event(sample: Sample, words: frozenset[str]) -> What | None:
    fields = PLAIN["event"]
    what, when = (field_column(sample, name, fields[name]) for name in ("event", "timestamp"))
    who = next((column for column in named(sample.columns, WHO) if holds_ids(column) or holds_addresses(column)), None)
    is_of_things = words & (_USERS | _COMPANIES) and not words & _EVENTS
    if what is not None and not is_of_things and (words & _EVENTS or (when is not None and _happens(what, who))):
        times = f" and {when.name!r}" if when is not None else ""
        return What(EVENT, f"it has names of events{' and their times' if times else ''}, in {what.name!r}{times}")
    if words & _EVENTS and who is not None:
        return What(EVENT, "its name says so")
    if who is not None and not is_of_things and who.distinct * 2 <= len(who.values) and sample.called(_AT_TIMES):
        return What(EVENT, f"users come again in {who.name!r}, each time at another time")
    return None


def _happens(what: Column, who: Column | None) -> bool:
    """Whether rows are what somebody did: nobody says so by the name of a column, or users come again."""
    is_called = re.match("event|action", what.words) is not None
    return is_called or (who is not None and not is_spread(who))


def _pair(sample: Sample, words: frozenset[str]) -> What | None:
    who, which = (next(filter(holds_ids, named(sample.columns, names)), None) for names in (WHO, WHICH))
    if who is None or which is None or who.name == which.name:
        return None
    others = [column for column in sample.columns if not re.fullmatch(_OF_PAIRS, column.words)]
    is_about_both = sample.called(_OF_PERSONS) and sample.called(_OF_COMPANIES)
    is_join = is_about_both and sample.called("id") and not is_spread(who) and not is_spread(which)
    extra = (column for column in others if column.name not in {who.name, which.name})
    if not is_join and any(not _beside(column, who, which) for column in extra):
        return None
    says_so = words & (_MEMBERSHIPS - {"member"}) or (words & _USERS and words & _COMPANIES)
    is_a_user = is_spread(who) and words & (_USERS - {"member"})
    is_a_company = is_spread(which) and words & _COMPANIES
    if not says_so and (is_a_user or is_a_company):
        return None
    reason = f"each row says which user, {who.name!r}, belongs to which company, {which.name!r}"
    return What(COMPANY, reason, is_pair=True)


def _beside(column: Column, *ids: Column) -> bool:
    """Whether a leaf lies in the same struct as one of the ids: it is about the user or the company alone."""
    insides = [one.leaf.path[:-1] for one in ids if one.leaf is not None and one.leaf.column == _outer(column)]
    return column.leaf is not None and any(column.leaf.path[: len(path)] == path for path in insides)


def _outer(column: Column) -> str | None:
    return None if column.leaf is None else column.leaf.column


def _entity(sample: Sample, words: frozenset[str]) -> What | None:
    votes = {USER.name: list(_for_users(sample, words)), COMPANY.name: list(_for_companies(sample, words))}
    weights = {name: sum(weight for weight, _ in found) for name, found in votes.items()}
    best = max(weights, key=lambda name: (weights[name], name == USER.name))
    if not weights[best]:
        return None
    kind = USER if best == USER.name else COMPANY
    reasons = [reason for weight, reason in sorted(votes[best], key=lambda vote: -vote[0])]
    return What(kind, "; ".join(reasons[:2]))


def _for_users(sample: Sample, words: frozenset[str]) -> Iterator[tuple[int, str]]:
    if not words & _USERS and sample.called("title|subject") and sample.called(_OF_TEXTS):
        return  # a row is what somebody wrote
    yield from _votes(sample, words & _USERS, words & _COMPANIES, PLAINLY_USER)
    if found := sample.called(_OF_PERSONS):
        yield min(len(found), 3), f"it has columns about a person, such as {found[0].name!r}"


def _for_companies(sample: Sample, words: frozenset[str]) -> Iterator[tuple[int, str]]:
    yield from _votes(sample, words & _COMPANIES, words & _USERS, PLAINLY_COMPANY)
    if found := sample.called(_OF_COMPANIES):
        yield min(len(found), 3), f"it has columns about a company, such as {found[0].name!r}"


def _votes(sample: Sample, said: frozenset[str], otherwise: frozenset[str], ids: Names) -> Iterator[tuple[int, str]]:
    """Return what the name says, less where it says the other thing as well, and what ids say."""
    if said:
        yield (2 if otherwise else 5), "its name says so"
    for column in named(sample.columns, ids):
        if holds_ids(column) and is_spread(column):
            yield 3, f"each row has its own {column.name!r}"
            return
