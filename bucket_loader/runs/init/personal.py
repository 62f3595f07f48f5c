"""What is about a person, and so is left out: seen by the name of a column, and by the shapes of its values."""

import re
from collections.abc import Sequence
from typing import Final

from bucket_loader.model import COMPANY, USER, Kind
from bucket_loader.runs.init import shapes
from bucket_loader.runs.init.evidence import Column
from bucket_loader.runs.init.names import tokens_of, words_of
from bucket_loader.runs.init.roles import any_of, names, reads_as_times


def _among(text: str) -> re.Pattern[str]:
    """Return a pattern for names that have one of these among their words."""
    return re.compile(rf"(?:.*_)?(?:{any_of(text)})(?:_.*)?")


_SECRETS: Final = "secrets"
_NAMES_OF: Final = "names of persons"
_PLACES: Final = "addresses"
_FACTS: Final = "facts about a person"
_PAPERS: Final = "numbers of papers and cards"
_DEVICES: Final = "ids of devices and visits"
_PROSE: Final = "free text, which may tell of persons"
# Words among those of a name, and what such a column holds.
_NAMES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (
        _among(
            """
            password passwd pwd secret api_?key token otp salt credentials? encrypted digest hash signature private_key
            recovery csrf
            """
        ),
        _SECRETS,
    ),
    (_among("e_?mails? mail mailbox"), "e-mail addresses"),
    (
        _among(
            """
            phones? phonenumber telephone tel mobile mobilephone cell cellphone fax whatsapp msisdn telefon[a-z]* handy
            contact_?(number|no)
            """
        ),
        "phone numbers",
    ),
    (
        _among(
            """
            firstname lastname fullname surname middlename nickname username maiden_?name salutation initials
            (first|last|full|middle|given|family|nick|display|preferred|legal|birth|real|user|person|contact|owner)_name
            (author|agent|assignee|requester|submitter|recipient|employee|member|visitor|respondent|card|manager)_name
            (actor|creator|approver|rep|csm|admin|invitee|inviter|signer|reporter|sender|cardholder)_name
            vorname nachname fornavn efternavn
            prenom logins? screen_name alias(es)?
            """
        ),
        _NAMES_OF,
    ),
    (
        _among(
            """
            street[0-9]? addr(ess)?[0-9]? addr(ess)?_?line mailingaddress zip[a-z]* postal[a-z]* postcode post_code plz
            strasse adresse house_?(no|number) apt (billing|shipping|mailing|other)(street|postalcode|address|zip)
            """
        ),
        _PLACES,
    ),
    (_among("lat latitude lng lon longitude geo_?(point|location|ip) coordinates gps"), "places of persons"),
    (
        _among(
            """
            birth[a-z]* dob born age geburts[a-z]* gender sex pronouns ethnicity race religion nationality marital
            salary
            """
        ),
        _FACTS,
    ),
    (
        _among(
            """
            ssn social_security passport national_id iban bank cvc cvv card cpr driver_?licen[cs]e tax_?(id|number)
            """
        ),
        _PAPERS,
    ),
    (_among("ips? ip_?addr[a-z]* remote_addr ipaddress ipv[46] remote_ip"), "addresses of computers"),
    (_among("user_?agent useragent ua"), "browsers of persons"),
    (
        _among(
            """
            twitter linked_?in facebook instagram git_?hub git_?lab tik_?tok skype telegram you_?tube handle slack
            social_?(profiles?|media)
            """
        ),
        "social handles",
    ),
    (_among("avatar[a-z]* picture photo[a-z]* gravatar[a-z]* profile_?(pic|image) headshot"), "pictures of persons"),
    (
        _among(
            """
            device_?(id|token|name|fingerprint)s? idfa idfv adid advertising_?id ad_?id android_?id imei imsi mac_?addr
            push_?token fingerprint cookies? anonymous_?id anon_?id user_pseudo_id client_?id session_?(id|key)
            amplitude_id distinct_ids? visitor_?id gclid fbclid installation_id vid
            """
        ),
        _DEVICES,
    ),
    (
        _among(
            """
            notes? bio biography about_?me comments? remarks? memo message body free_?text transcript verbatim feedback
            quote summary description subject bemerkung[a-z]* kommentar[a-z]* notiz[a-z]* reason_text details
            """
        ),
        _PROSE,
    ),
)
# What only numbers, moments and ids can be of those; a number is no name.
_NUMERIC: Final = frozenset({"phone numbers", _PLACES, "places of persons", _FACTS, _PAPERS, _DEVICES, _SECRETS})
_IDS: Final = frozenset({_DEVICES, _PAPERS, _SECRETS})
# A name that ends so counts or dates a thing, or says its kind: `emails_sent` and `email_domain` are nobody's.
_ABOUT: Final = (
    "_at",
    "_date",
    "_domain",
    "_count",
    "_status",
    "_type",
    "_sent",
    "_opened",
    "_total",
    "_days",
    "_brand",
)
_PEOPLE: Final = re.compile(
    r"(?:.*_)?(?:owner|assignee|agent|rep|csm|manager|author|requester|submitter|contact|reporter|creator|by|executive|ae|"
    r"sdr|recipient|sender|signer|champion|respondent|attendee|person|user|member|employee|admin|customer)"
)
_NAME: Final = re.compile(
    r"(?:.*_)?(?:person|people|user|contact|customer|member|profile|employee|visitor|account)?_?name"
)
_CITY: Final = _among("city town municipality")
_THINGS: Final = any_of(
    """
    company companies account org organi[sz]ation workspace tenant team group business client firm legal trading domain
    plan product feature event segment page role campaign file project browser os operating_system app application
    package library sdk screen server service platform channel source medium utm brand model carrier
    cohort list topic category label survey form question experiment variant flag stage pipeline currency tier tariff
    subscription edition region country language timezone database table schema column field property metric report
    dashboard module component integration provider connection strategy status type index environment
    """
)
_OF_THINGS: Final = re.compile(rf"(?:.*_)?(?:{_THINGS})_?(?:name|title)?")
_LETTERS: Final = re.compile(r"[^\W\d_]+(?:[ .'\u2019,-]+[^\W\d_]+)*\.?")
_PERSONS: Final = frozenset(
    names("set person people user member contact customer actor author owner profile requester submitter respondent")
)
_FIRM: Final = re.compile(
    r"(?i)\b(?:inc|llc|ltd|gmbh|ag|aps|a/s|ab|sa|sas|bv|plc|oy|corp|co|company|group|labs?|systems|solutions|software|"
    r"technologies|tech|partners|holdings?|industries|studio|media|consulting|services|bank|university|sons)\b"
)
_FEW_FIRMS: Final = 0.2
_HALF: Final = 0.5
_SOME: Final = 0.2
_ANY: Final = 0.0


def personal_reason(column: Column, kind: Kind, columns: Sequence[Column]) -> str | None:
    """Return what a column holds of persons; None where nothing speaks for that.

    Args:
        column: the column.
        kind: what a row is: a company's own name is nobody's.
        columns: all columns: a city beside a street is part of an address.
    """
    if column.family == "boolean":
        return None
    seen = None if reads_as_times(column) else _by_values(column.texts, kind)
    return seen or _by_name(column, kind, columns)


def _by_values(texts: Sequence[str], kind: Kind) -> str | None:
    tests = (
        (shapes.holds(shapes.EMAIL, texts) > 0, "e-mail addresses"),
        (shapes.wholly(shapes.AGENT, texts) > _SOME, "browsers of persons"),
        (shapes.share_of_ips(texts) > _SOME, "addresses of computers"),
        (shapes.holds(shapes.PHONE, texts) > 0, "phone numbers"),
        (shapes.wholly(shapes.NATIONAL, texts) > _SOME, _PAPERS),
        (shapes.wholly(shapes.STREET, texts) > _SOME, _PLACES),
        (shapes.wholly(shapes.PICTURE, texts) > _SOME, "pictures of persons"),
        (shapes.wholly(shapes.SOCIAL, texts) > _SOME, "social handles"),
        (shapes.share_of_persons(texts) > _SOME, _NAMES_OF),
        (kind is not COMPANY and shapes.share_of_given_names(texts) > _HALF, _NAMES_OF),
        (shapes.is_prose(texts), _PROSE),
    )
    return next((reason for holds, reason in tests if holds), None)


def _by_name(column: Column, kind: Kind, columns: Sequence[Column]) -> str | None:
    found = next((reason for form, reason in _NAMES if form.fullmatch(column.words)), None)
    if found is not None:
        return found if _can_be(column, found) else None
    if _CITY.fullmatch(column.words) and (kind is not COMPANY or _has_street(columns)):
        return _PLACES
    if not column.texts:
        return None
    if _NAME.fullmatch(column.words) and not _is_of_a_thing(column, kind, columns):
        return _NAMES_OF
    is_named = _PEOPLE.fullmatch(column.words) is not None and column.words.split("_")[0] not in {"is", "has", "can"}
    return _NAMES_OF if is_named and _reads_as_names(column.texts) else None


def _can_be(column: Column, reason: str) -> bool:
    """Whether values can be what the name says: a number or a moment is no name and no text."""
    if column.words.endswith(_ABOUT):
        return False
    if column.family == "number":
        return reason in _NUMERIC
    if reads_as_times(column):
        return reason == _FACTS
    if column.words.endswith("id"):
        return reason in _IDS
    return not column.texts or column.count(r"(?i:true|false|yes|no|t|f|y|n|0|1)") < len(column.texts)


def _has_street(columns: Sequence[Column]) -> bool:
    form = next(form for form, reason in _NAMES if reason == _PLACES)
    return any(form.fullmatch(column.words) for column in columns)


def _is_of_a_thing(column: Column, kind: Kind, columns: Sequence[Column]) -> bool:
    """Whether a `name` is that of a thing: a company's own, or one that many rows share."""
    if _is_in_a_person(column, kind):
        return False
    if _OF_THINGS.fullmatch(column.words):
        return True
    if kind is COMPANY:
        return column.words == "name" and not _is_a_payer(column, columns)
    return kind is not USER and _is_shared(column)


def _is_in_a_person(column: Column, kind: Kind) -> bool:
    """Whether a leaf lies in a struct that is about a person: `person.properties.name`, `$set.name`."""
    if column.leaf is None:
        return False
    outer = {part for name in (column.leaf.column, *column.leaf.path[:-1]) for part in tokens_of(words_of(name))}
    return bool(outer & _PERSONS) or ("trait" in outer and kind is not COMPANY)


def _is_a_payer(column: Column, columns: Sequence[Column]) -> bool:
    """Whether a name beside an e-mail address is that of who pays, and not of a company."""
    has_address = any(re.fullmatch(r"(?:customer_)?e_?mail(?:_address)?", other.words) for other in columns)
    return has_address and sum(1 for text in column.texts if _FIRM.search(text)) < _FEW_FIRMS * len(column.texts)


def _is_shared(column: Column) -> bool:
    return column.distinct * 5 <= len(column.values)


def _reads_as_names(texts: Sequence[str]) -> bool:
    """Whether texts are words of letters alone, as names are."""
    return sum(1 for text in texts if _LETTERS.fullmatch(text.strip())) * 2 > len(texts)
