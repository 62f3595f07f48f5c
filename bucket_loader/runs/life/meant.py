"""What may be meant where nothing is known of an id: one in another spelling that is known."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from bucket_loader.planning import Plan
from bucket_loader.runs.about import Subject
from bucket_loader.runs.life.remembered import Asked, remembered
from bucket_loader.runs.life.search import search
from bucket_loader.runs.life.sought import Sought
from bucket_loader.state import State

_DIGITS_MAX: Final = 20  # that zeros before a number make


def spellings(id_: str) -> Iterator[str]:
    """Yield other spellings of an id: without blanks, in other letters, with and without zeros, hashed."""
    bare = id_.strip()
    yield from (bare, f"{bare} ", bare.lower(), bare.upper(), bare.capitalize(), bare.removesuffix(".0"), f"{bare}.0")
    if bare.isdigit():
        yield bare.lstrip("0") or "0"
        yield from (bare.zfill(digits) for digits in range(len(bare) + 1, _DIGITS_MAX + 1))
    yield sha256(bare.encode(errors="replace")).hexdigest()


def meant(state: State, plans: Sequence[Plan], asked: Asked) -> Iterator[str]:
    """Yield what may be meant, a sentence each: other spellings that plans or memory know."""
    subject = asked.sought.subject
    if subject is None:
        yield "`--key` takes one value for each column of the stream's `key:`, in their order, as they are sent"
        return
    others = [Subject(subject.field, one) for one in dict.fromkeys(spellings(subject.id)) if one != subject.id]
    wanted = Sought(subject, others=tuple(others))
    named = {wanted.whom(hit.text) for hit in search(plans, wanted, asked.streams).records}
    for other in others:
        if other.id in named or _is_known(state, replace(asked, sought=Sought(other))):
            yield f"known is {other.field} {other.id!r}: is that meant?"


def _is_known(state: State, asked: Asked) -> bool:
    """Whether a stream remembers it, of those whose memory is whole."""
    return any(one.state not in {"not remembered", "not known"} for one in remembered(state, asked))
