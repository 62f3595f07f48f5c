"""Which column each field is made from: the names that fit, and of those the one whose values fit too."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from bucket_loader.model import COMPANY, EVENT, FEATURE_EVENT, FEEDBACK, USER, Kind
from bucket_loader.runs.init import shapes
from bucket_loader.runs.init.evidence import Column, Sample
from bucket_loader.runs.init.scores import is_called_like_a_score, scale_of
from bucket_loader.runs.init.times import time_guess

Names: TypeAlias = tuple[str, ...]
"""What the columns of a field may be called, best guess first; a pattern matches the whole of `Column.words`."""


def names(text: str) -> Names:
    """Return the patterns of a text; blanks are between them."""
    return tuple(text.split())


def any_of(text: str) -> str:
    """Return one pattern for all those of a text."""
    return "|".join(text.split())


# An id that the application itself gave, also where another tool kept it.
APP_USER: Final = names(
    "(app|internal|external|product|platform|our)_?user_?(uu|gu)?id user_?(uu|gu)?id uid external_?id"
)
# Ids of the user whose row it is: in a table of users, and in what users did.
_APP: Final = """
    identity user_?(uu|gu|u)?id (app|internal|external|product|platform)_?user_?(uu|gu)?id uid user_?(key|ref)
"""
_USER_FIRST: Final = """
    (user|contact|person|member|profile|end_?user)_external_?id external_(user|contact|person)_?id local_?id
    member_?id person_?id contact_?id
"""
_USER: Final = (
    _USER_FIRST
    + """
    profile_?id visitor_?id distinct_?id employee_?id customer_?(uu)?id
    (user|member|customer|contact|person)_?(number|no|nr|code)
    subscriber_?id
    lead_?id end_?user_?(uu)?id
"""
)
PLAINLY_USER: Final = names(_APP + _USER_FIRST)
USER_ROW: Final = names(_APP + _USER + "username")
# In what users did and said, an id that the application gave goes before one that the tool gave.
_GIVEN: Final = _APP + "external_?id ext_?id user_external_?id custom_?id"
_WHO: Final = (
    _USER
    + """
    user person actor(_?id)? requester_?id author_?id (created|submitted|performed|triggered)_by_user_id
    external_?(data_?)?reference username
    """
)
WHO: Final = names(_GIVEN + _WHO)
# Beside a company's own id a customer is a person, whom the application knows.
_WHO_IN_A_COMPANY: Final = names(f"{_GIVEN} customer_?(uu)?id {_WHO}")
_ENTITY: Final = "(company|account|org|organi[sz]ation|workspace|tenant|team|group|business|client|customer_account)"
APP_COMPANY: Final = names(
    f"""
    (app|internal|external|product|platform|our)_?{_ENTITY}_?(uu|gu)?id
    (workspace|tenant|org|organi[sz]ation|account|company)_?(uu|gu)?id external_?id
    """
)
PLAINLY_COMPANY: Final = names(f"{_ENTITY}_external_?id external_{_ENTITY}_?id {_ENTITY}_?(uu|gu)?id")
WHICH: Final = PLAINLY_COMPANY + names(
    f"""
    account_?(code|number|key|no)
    groups?_(company|account|organi[sz]ation|workspace|team)(_id)? {_ENTITY} groups?_?0 group_key
    customer_?(uu)?id customer_?(number|no|code)
    """
)
WHEN: Final = names(
    """
    timestamp occurred_?at event_?(time|timestamp|date|at) original_timestamp time at submit_date.* submitted_?at
    (happened|performed|triggered|answered|responded|rated|logged|recorded|used|viewed|visited)_?(at|on|time)
    created_?(at|on|date)?(_utc)? date_?(time|created|submitted)?(_utc)? day hour ts response_date.* end_date.*
    .*_at .*_date .*timestamp .*_(time|ts|ms|us|epoch) create_date when browser_time start_date.* created(_.*)?
    started.* month week .*
    """
)
WHAT: Final = names(
    """
    event_text event(_name)? event_?type action(_name|_type)? feature(_?name|_?key)? activity(_?(name|type))?
    feature_?id track_?(event|type) page_?(name|id) verb operation interaction(_?type)?
    """
)
SAID: Final = names(
    """
    comments? feedback(_?(text|comment|message))? verbatim (open|free)_?text.*
    (.*_)?(comment|reason|review|remark|suggestion|improve|message|text|answer|elaborate)s?(_.*)?
    (what|why|how|please|tell|anything|is_there|do_you|any)_.* body q[0-9]+(_.*)?
    """
)
_EVALUATED: Final = {
    "action": names("action check_?type"),
    "key": names("(feature|flag)_?(key|name|id) key feature flag"),
    "evalResult": names("eval_?result result (is_?)?enabled value"),
    "targetingVersion": names("(targeting_?)?version"),
}
PLAIN: Final[Mapping[str, Mapping[str, Names]]] = {
    USER.name: {"userId": USER_ROW},
    COMPANY.name: {"companyId": WHICH},
    EVENT.name: {"userId": WHO, "event": WHAT, "timestamp": WHEN, "companyId": WHICH},
    FEEDBACK.name: {"userId": WHO, "score": names(".*"), "comment": SAID, "timestamp": WHEN, "companyId": WHICH},
    FEATURE_EVENT.name: _EVALUATED,
}
# Ids of devices and visits.
ANONYMOUS: Final = (
    r"(original_)?anonymous_?id|anon_?id|device_?id|user_pseudo_id|session_?id|client_?id|cookie_?id|amplitude_id"
)
# Where an e-mail address may say who it is, when nothing else does.
E_MAIL: Final = names(
    """
    (.*_)?e_?mail(_?address)? username login user(_?(id|name))? distinct_?id visitor_?id respondent requester
    external_id .*(user|contact|person|member|customer|visitor)_?id
    """
)
_OWN: Final = names("_?id|uuid|guid|pk|key|record_?id(_.*)?|object_?id|hs_object_id")
# Called like a thing and not like its id: it holds ids where its values have digits, and else names.
_BARE: Final = re.compile(rf"user|person|actor|requester|identity|{_ENTITY}")
_SURE: Final = re.compile(r"user_?(uu|gu)?id|uid|identity")
_OF_A_TOOL: Final = re.compile("(person|contact|profile)_?id")
_OF_ANOTHER: Final = frozenset(names("subscription contract license trial"))
_ELSEWHERE: Final = names("external_?id sub cognito_username")
_DOMAIN: Final = names("(company_)?domain(_name)?")
_ID_PATHS: Final = (("id",), ("uuid",), ("_id",))  # inside of a struct that is named after somebody
_CALLED_SCORE: Final = ("score", "rating", "nps", "csat")
_SPREAD: Final = 0.5
_ONE_FOR_ALL: Final = 20


def named(columns: Sequence[Column], called: Names) -> Iterator[Column]:
    """Return the columns that are called like a field, best guess first; a column of its own before a leaf."""
    for pattern in called:
        found = [column for column in columns if re.fullmatch(pattern, column.words)]
        yield from sorted(found, key=lambda column: column.leaf is not None)


def plain_names(kind: Kind, sample: Sample) -> dict[str, Names]:
    """Return what the columns of each field may be called in rows of a kind."""
    found = dict(PLAIN[kind.name])
    if kind in (EVENT, FEEDBACK) and any(map(holds_ids, named(sample.columns, PLAINLY_COMPANY))):
        found["userId"] = _WHO_IN_A_COMPANY
    return found


def field_column(sample: Sample, field: str, called: Names) -> Column | None:
    """Return the column that a field is made from: of those that are called like it the first whose values fit."""
    fits = _FITS.get(field)
    found = [column for column in named(sample.columns, called) if fits is None or fits(column)]
    if field == "score":
        found.sort(key=lambda column: (not column.words.endswith(_CALLED_SCORE), column.leaf is not None))
    return found[0] if found else None


def holds_ids(column: Column) -> bool:
    """Whether values can be ids of something: no sentences, no names of persons, no moments, no truths, no lists."""
    if column.is_empty or column.family not in {"text", "number", "other"}:
        return False
    if column.family == "number":
        return not any(isinstance(value, float) and value % 1 for value in column.values)
    texts = column.texts
    if shapes.holds(shapes.EMAIL, texts) * 2 > len(texts):
        return False
    if _BARE.fullmatch(column.words) and sum(1 for text in texts if re.search(r"\d", text)) * 2 < len(texts):
        return False
    blanks = sum(1 for text in texts if re.search(r"\S\s+\S", text))
    return blanks * 10 <= len(texts) and not shapes.share_of_given_names(texts) > _SPREAD


def holds_addresses(column: Column) -> bool:
    """Whether values are e-mail addresses, by which persons can be told apart."""
    return bool(column.texts) and shapes.wholly(shapes.EMAIL, column.texts) > _SPREAD


def reads_as_times(column: Column) -> bool:
    """Whether values read as moments."""
    guess = time_guess(column.usual)
    return guess is not None and (guess.is_certain or bool(guess.choices))


def _reads_as_scores(column: Column) -> bool:
    return is_called_like_a_score(column) and scale_of(column) is not None


def _reads_as_a_name(column: Column) -> bool:
    return column.family in {"text", "other"} and bool(column.texts) and not reads_as_times(column)


def names_things(column: Column) -> bool:
    """Whether texts are names that many rows share, and of no person."""
    is_shared = column.distinct * 2 <= len(column.values)
    return _reads_as_a_name(column) and is_shared and not shapes.share_of_persons(column.texts)


def _reads_as_said(column: Column) -> bool:
    """Whether texts are what people said: some have a few words, and they are no times and no addresses."""
    said = sum(1 for text in column.texts if " " in text.strip())
    return said * 5 >= len(column.texts) > 0 and not reads_as_times(column) and not holds_addresses(column)


def row_id(sample: Sample, ids: Names, entity: frozenset[str]) -> Column | None:
    """Return the column that says which user or company a row is.

    That is an id which is called like the file, and which the rows do not share; else the row's own id; else another.

    Args:
        sample: of the rows.
        ids: what ids of such things are called.
        entity: the words of the file's name that say what a row is.
    """
    explicit = [column for column in named(sample.columns, ids) if holds_ids(column)]
    if explicit and _OF_A_TOOL.fullmatch(explicit[0].words):  # what the application gave goes before it
        given = [column for column in named(sample.columns, _ELSEWHERE[:1]) if holds_ids(column) and is_spread(column)]
        explicit = [*given, *explicit]
    like_it = [column for column in explicit if entity & set(column.words.split("_"))]
    own = [column for column in named(sample.columns, _OWN) if holds_ids(column) and column.is_own]
    inside = [column for column in explicit if column.leaf is not None and column.leaf.path[-1:] in _ID_PATHS]
    sure = [column for column in explicit if _SURE.fullmatch(column.words)]
    is_join = any(not is_spread(column) and column.leaf is None for column in sure)  # users come again
    own = [] if entity & _OF_ANOTHER or is_join else own  # a subscription's own id is not its company's
    ranked = [*like_it, *sure, *inside, *own, *explicit] if entity else [*explicit, *own]
    last = [column for column in named(sample.columns, (*_ELSEWHERE, *_DOMAIN)) if holds_ids(column)]
    return next(iter([*filter(is_spread, ranked), *explicit, *own, *filter(is_spread, last)]), None)


def has_another_id(sample: Sample) -> bool:
    """Whether rows have an id of a name that says nothing: then an e-mail address is not what tells them apart."""
    if sample.called("distinct_ids"):
        return True
    own = (column for column in sample.called(".*id") if column.leaf is None and column.is_distinct)
    return any(holds_ids(column) and not _OF_OTHERS.fullmatch(column.words) for column in own)


def is_one_for_all(column: Column) -> bool:
    """Whether many rows all have one value: as the id of a company it is that of the exporting tool's account."""
    return column.distinct == 1 and len(column.values) > _ONE_FOR_ALL


def is_spread(column: Column) -> bool:
    """Whether most of the values are different ones, as they are where each row is a thing of its own."""
    return column.distinct >= _SPREAD * len(column.values) and len(column.values) >= _SPREAD * (
        len(column.values) + column.nulls
    )


_FITS: Final[Mapping[str, Callable[[Column], bool]]] = {
    "userId": holds_ids,
    "companyId": holds_ids,
    "timestamp": reads_as_times,
    "score": _reads_as_scores,
    "event": _reads_as_a_name,
    "comment": _reads_as_said,
}
# What an export calls the id of a row, best guess first.
_IDS: Final = names(
    """
    (message|insert|event|dedup(e|lication)?)_?(uu)?id uuid
    (row|record|log|entry|hit|response|feedback|activity|survey_response)_?(uu)?id id|token|# .*_?id
    """
)
_ID_FAMILIES: Final = frozenset({"text", "number", "other"})
# Ids that many rows of a longer export share, whatever the sample shows: no row is known by one.
_SHARED: Final = re.compile(
    r".*(anonymous|anon|device|session|visitor|visit|client|distinct|cookie|browser|user_pseudo|group|context|campaign|"
    r"ad|project|tenant|workspace|org|organization|account|company|team|user|member|contact|customer|person|profile|"
    r"requester|assignee|collector|network|form|survey|amplitude|feature|page|brand)_?(uu)?id"
)
# Ids of other things, and those that other tools gave.
_OF_OTHERS: Final = re.compile(
    rf"{_SHARED.pattern}|.*(paid|valid|stripe|hubspot|salesforce|sfdc|crm|zendesk|intercom|google|facebook|slack|"
    r"subscription|session|message|order|ticket|invoice|response|event|row|payment|plan|price|coupon|list|segment).*"
)


def key_column(columns: Sequence[Column], used: Sequence[str]) -> Column | None:
    """Return the column that seems to number the rows: an export's own id of a row, before any other."""
    free = [column for column in columns if column.name not in used and column.is_distinct]
    own = [column for column in free if column.family in _ID_FAMILIES and not _SHARED.fullmatch(column.words)]
    return next(named(own, _IDS), None)
