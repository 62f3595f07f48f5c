"""Nested values as members of a JSON object: one for each leaf, with its dotted name, and one for each list."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.lists import (
    FLATTENED,
    Arrays,
    DroppedError,
    ListForm,
    Seen,
    dropped_part,
    named,
    refuse_or_tell,
    require_stored,
)
from bucket_loader.planning.mapping.nested.spelling import Local, NoFormError

LEAVES_MAX: Final = 1_000


@dataclass(frozen=True)
class Fragment:
    """How the values of a nested column are spelt.

    Attributes:
        name: the attribute's name, before the dots.
        taken: tells the dotted names that other fields have and that win; raises where neither may win.
        send_nulls: whether a null leaf is spelt or left out.
        arrays: how lists are sent.
        local: moves a time without a zone to UTC.
        seen: what was seen so far.
    """

    name: str
    taken: Callable[[str], bool]
    send_nulls: bool
    arrays: Arrays = FLATTENED
    local: Local | None = None
    seen: Seen = field(default_factory=Seen)

    def members(self, value: object) -> str:
        """Spell a value as members, commas between them; empty when there are none.

        Raises:
            NoFormError: a leaf has no form, or there are too many.
        """
        members: dict[str, str] = {}
        for dotted, leaf in spelling.Flattened(self.arrays.keep, self.local, self.seen.list_of).leaves(
            self.name, value
        ):
            if (leaf is None and not self.send_nulls) or self.taken(dotted):
                continue
            self._check_name(dotted)
            spelt = self._list(leaf) if isinstance(leaf, (list, tuple)) else spelling.spell(leaf, self.local)
            if spelt == "null" and not self.send_nulls:
                continue
            if dotted in members:
                raise NoFormError("has two values with one dotted name, and one would hide the other")
            members[dotted] = spelt
            if len(members) > LEAVES_MAX:
                raise NoFormError(f"has more than {LEAVES_MAX} values")
        return ",".join(f"{json.dumps(dotted, ensure_ascii=False)}:{members[dotted]}" for dotted in sorted(members))

    def _check_name(self, dotted: str) -> None:
        if (part := dropped_part(dotted[len(self.name) :])) is not None:
            refuse_or_tell(self.seen, DroppedError(named(part)), rejects=self.arrays.rejects)
        spelling.spell(dotted)

    def _list(self, value: Sequence[object]) -> str:
        form = ListForm(self.send_nulls, self.local, self.seen, self.arrays.rejects)
        items = form.items(value)
        require_stored(items, self.seen, rejects=self.arrays.rejects)
        return "[" + ",".join(items) + "]"
