"""Shapes of values that say more than a column's name does: addresses of people, numbers to call, names, ids."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import takewhile
from typing import Final

EMAIL: Final = re.compile(r"[^\s@<>\"']+(?:@|%40)[\w-]+(?:\.[\w-]+)+")
PHONE: Final = re.compile(
    r"(?<![\w.+-])(?:\+\d{1,3}[ .()-]*(?:\d[ .()-]*){6,12}|\(\d{2,5}\) ?\d{3,4}[ .-]?\d{3,5}|\d{3}[ .-]\d{3}[ .-]\d{4})"
    r"(?![\w-])"
)
AGENT: Final = re.compile(r"(?:Mozilla|Opera|Dalvik|okhttp|PostmanRuntime|curl)/[\d.]+.*")
STREET: Final = re.compile(
    r"(?i)\d{1,5}[a-z]? (?:[\w.'-]+ ){1,4}(?:st|street|ave|avenue|rd|road|blvd|boulevard|ln|lane|dr|drive|way|court|ct|"
    r"place|pl|square|sq|terrace|highway|hwy|parkway|pkwy)\b\.?.*|[\w .'-]*(?:stra(?:ß|ss)e|gade|vej|gatan|straat|weg|"
    r"platz|allee|rue|calle|via)\b.* \d{1,4}.*"
)
NATIONAL: Final = re.compile(
    r"\d{3}-\d{2}-\d{4}|[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?|(?:\d{4}[ -]){3}\d{4}"
)
PICTURE: Final = re.compile(r"(?i)https?://\S*(?:gravatar|avatar|googleusercontent|profile[-_]?(?:pic|image|photo))\S*")
SOCIAL: Final = re.compile(
    r"(?i)(?:https?://)?(?:www\.)?(?:twitter|x|linkedin|facebook|instagram|github|tiktok|t)\.(?:com|me)/\S+|@[\w.]{2,30}"
)
UUID: Final = re.compile(r"(?i)\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?")

_WORD: Final = r"(?:[^\W\d_]|['\u2019.-]){2,}"  # of a family name
_PERSON: Final = re.compile(
    rf"(?:(?:Dr|Mr|Mrs|Ms|Prof)\.? )?(?P<given>[^\W\d_]+(?:-[^\W\d_]+)?)(?: [^\W\d_]\.?)?(?: {_WORD}){{1,3}}"
)
_PERSON_BACKWARDS: Final = re.compile(rf"{_WORD}, (?P<given>[^\W\d_]+)(?: [^\W\d_]\.?)?")
# The commonest given names of a few countries: enough to see that a column holds the names of persons.
_GIVEN: Final = frozenset(
    """
    james mary robert patricia john jennifer michael linda david elizabeth william barbara richard susan joseph
    jessica thomas sarah christopher karen charles lisa daniel nancy matthew betty anthony sandra mark margaret
    donald ashley steven kimberly andrew emily paul donna joshua michelle kenneth carol kevin amanda brian melissa
    george deborah timothy stephanie ronald rebecca jason sharon edward laura jeffrey cynthia ryan dorothy jacob amy
    gary kathleen nicholas angela eric shirley jonathan emma stephen brenda larry pamela justin nicole scott anna
    brandon samantha benjamin katherine samuel christine gregory helen alexander debra patrick rachel frank carolyn
    raymond janet jack maria dennis olivia jerry heather tyler diane aaron julie jose joyce adam victoria nathan
    ruth henry virginia zachary lauren douglas kelly peter christina kyle joan noah evelyn ethan judith jeremy
    andrea christian hannah walter megan keith cheryl austin jacqueline roger martha terry madison sean teresa
    gerald gloria carl sara dylan janice harold ann jordan kathryn jesse abigail bryan sophia lawrence frances
    arthur jean gabriel alice bruce judy logan isabella billy julia joe grace alan amber juan denise albert danielle
    willie marilyn elijah beverly wayne charlotte randy natalie mason theresa vincent diana liam brittany roy doris
    ralph kayla bobby alexis russell lori bradley jane oliver lucas leo max felix lena lea mia clara paula johanna
    greta ida freja sofie lars jens anders mads soren søren niels hans klaus jürgen juergen wolfgang uwe dieter
    stefan markus sebastian florian tobias jonas lukas finn luca marco giulia francesca alessandro matteo giovanni
    luigi pierre marie jacques claire camille chloé chloe hugo louis antoine isabelle carlos luis miguel ana carmen
    lucia lucía pablo diego sofia javier elena ingrid astrid björn bjorn erik karin nils sven ola kari priya raj
    amit anita ravi sunita arjun deepak fatima mohammed mohamed muhammad ahmed ali omar aisha hassan yusuf wei li
    ming mei chen yuki hiroshi kenji sakura haruto olga ivan dmitri natasha sergei svetlana tatiana igor piotr
    agnieszka katarzyna jan pawel tom ben sam alex chris mike dave bob jim bill kate lucy amelia ella ava zoe nina
    eva ines marta joao joão pedro tiago rosa nora maya leila amir kofi ama ada linus edsger dana kim lee pat robin
    jamie taylor morgan casey riley
    """.split()  # noqa: SIM905  # a list of them would be a screen long
)
_WORDS_OF_PROSE: Final = 4
_LENGTHS_MAX: Final = 2  # of ids that one program made: of Salesforce 15 and 18


def holds(form: re.Pattern[str], texts: Sequence[str]) -> int:
    """Return how many texts have such a thing anywhere in them."""
    return sum(1 for text in texts if form.search(text))


def wholly(form: re.Pattern[str], texts: Sequence[str]) -> float:
    """Return the share of the texts that are such a thing and nothing else."""
    return sum(1 for text in texts if form.fullmatch(text.strip())) / len(texts) if texts else 0.0


def share_of_ips(texts: Sequence[str]) -> float:
    """Return the share of the texts that are the address of a computer."""
    return sum(map(_is_ip, texts)) / len(texts) if texts else 0.0


def _is_ip(text: str) -> bool:
    try:
        ip_address(text.strip())
    except ValueError:
        return False
    return True


def share_of_persons(texts: Sequence[str]) -> float:
    """Return the share of the texts that read as the name of a person, with a common given name."""
    return sum(map(_is_person, texts)) / len(texts) if texts else 0.0


def _is_person(text: str) -> bool:
    form = _PERSON.fullmatch(text.strip()) or _PERSON_BACKWARDS.fullmatch(text.strip())
    return form is not None and not text.islower() and form["given"].partition("-")[0].lower() in _GIVEN


def share_of_given_names(texts: Sequence[str]) -> float:
    """Return the share of the texts that are a common given name alone."""
    return sum(1 for text in texts if text.strip().lower() in _GIVEN) / len(texts) if texts else 0.0


def share_of_logins(texts: Sequence[str]) -> float:
    """Return the share of the texts that begin or end with a common given name, as `jane.doe` does."""
    found = (re.split(r"[._-]", text.strip().lower()) for text in texts)
    return sum(1 for parts in found if {parts[0], parts[-1]} & _GIVEN) / len(texts) if texts else 0.0


def is_like(text: str, others: Sequence[str]) -> bool:
    """Whether a word of letters alone can be an id like others: by its beginning, their alphabet and their length.

    Which signs of an alphabet happen to be in an id says nothing: one UUID in many has no digit, and one has no letter.
    """
    beginning = _beginning(others)
    if all(re.fullmatch(r"\d*", other[len(beginning) :]) for other in others):
        return False  # no other has a letter there
    if prefix := re.match(r".*[_|:-]", beginning):
        return text.startswith(prefix[0])
    lengths = {len(other) for other in others}
    return len(text) in lengths or len(lengths) > _LENGTHS_MAX


def _beginning(texts: Sequence[str]) -> str:
    """Return what all texts begin with."""
    first, last = min(texts, default=""), max(texts, default="")
    return "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))


def is_prose(texts: Sequence[str]) -> bool:
    """Whether texts are sentences that people wrote: many words, and hardly one text twice."""
    words = [len(text.split()) for text in texts]
    long = sum(1 for count in words if count >= _WORDS_OF_PROSE)
    return bool(texts) and long * 2 >= len(texts) and len(set(texts)) * 3 >= len(texts) * 2
