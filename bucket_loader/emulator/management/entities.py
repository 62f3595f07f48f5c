"""The calls about users and companies; each is kept in the journal, and does what a call of the other API does."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, Raw, Struct

from bucket_loader.emulator.evaluation import evaluated
from bucket_loader.emulator.management import definitions, shapes
from bucket_loader.emulator.management.asking import Asked, invalid, missing, one_of
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.store import Company, User
from bucket_loader.model import USER, Kind


class _Called(Struct):
    name: object = None


_called = msgspec.json.Decoder(_Called).decode


@dataclass(frozen=True)
class Entities:
    """The calls about one kind.

    Attributes:
        kind: users, or companies.
        deletion: the type of the record that the journal keeps of a deletion.
        deletion_shape: what a deletion asks.
    """

    kind: Kind
    deletion: str
    deletion_shape: type[Struct]

    def put(self, asked: Asked) -> shapes.Entity:
        """Create or update one; it was not active by that (assumed)."""
        change = asked.read(shapes.EntityChange)
        attributes = change.attributes or {}
        if change.name is not UNSET:
            attributes |= {"name": Raw(msgspec.json.encode(change.name))}
        self._accept(asked, self.kind.wire, {"attributes": attributes, "context": {"active": False}})
        known = self._known(asked)
        name = _called(known.attributes).name
        return shapes.Entity(known.id, Raw(known.attributes), name if isinstance(name, str) else UNSET)

    def delete(self, asked: Asked) -> shapes.Deleted:
        """Forget one."""
        options = asked.read(self.deletion_shape)
        self._known(asked)
        self._accept(asked, self.deletion, msgspec.to_builtins(options))
        return shapes.Deleted()

    def list_flags(self, asked: Asked) -> shapes.EntityFlags:
        """Return all flags, each on or off for one."""
        data = self._flags(asked)
        return shapes.EntityFlags(total_count=len(data), page_size=len(data), data=data)

    def change_flags(self, asked: Asked) -> shapes.EntityFlagsChanged:
        """Turn flags on for one whatever their rules say, or end that."""
        flags, change, known = asked.flags(), asked.read(shapes.FlagUpdates), self._known(asked)
        for update in change.updates:
            if update.specific_target_value is False:
                raise invalid("updates.specificTargetValue", "must be true or null")
            flag = one_of(flags, definitions.key, update.flag_key)
            definitions.target(flag, self.kind, known.id, on=update.specific_target_value is True)
        asked.define(flags)
        data = self._flags(asked)
        return shapes.EntityFlagsChanged(
            total_count=len(data), page_size=len(data), data=data, flag_state_version=asked.version
        )

    def _known(self, asked: Asked) -> User | Company:
        store = asked.environment.store
        all_of: Mapping[str, User | Company] = store.users if self.kind is USER else store.companies
        known = all_of.get(asked.ids[self.kind.subject])
        if known is None:
            raise missing(self.kind.name)
        return known

    def _accept(self, asked: Asked, type_name: str, members: dict[str, object]) -> None:
        body = msgspec.json.encode({self.kind.subject: asked.ids[self.kind.subject], **members})
        items = wire.TYPES[type_name](body)
        if isinstance(items, wire.Mistakes):
            raise invalid(*items.messages[0].split(": ", 1))
        for objection in asked.environment.objections(body, items):
            raise invalid(*objection.split(": ", 1))
        asked.environment.accept(asked.number, type_name, body, items)

    def _flags(self, asked: Asked) -> list[shapes.EntityFlag]:
        environment, known, now_ms = asked.environment, self._known(asked), time.time() * 1000
        context = evaluated.context_of(known)
        fields = {**evaluated.remembered(environment.store, context, environment.edition), **context}
        served = {feature.key: feature for feature in environment.definitions.features}
        return [
            shapes.EntityFlag(
                id=definitions.flag_id(flag),
                key=flag["key"],
                name=definitions.name(flag),
                created_at=flag["createdAt"],
                value=evaluated.entry(
                    served[flag["key"]], fields, now_ms, environment.edition, environment.store.opt_ins
                )["isEnabled"],
                specific_target_value=True if known.id in definitions.targets(flag, self.kind) else None,
            )
            for flag in asked.flags()
        ]
