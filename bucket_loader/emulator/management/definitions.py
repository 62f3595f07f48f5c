"""Flags: definitions of features, with the names and marks that the management API gives them.

A definition is held here as GET /features shows it, so that what it has beside the known members goes on with it. Who
is targeted by name is a rule of its own in it (assumed: no document shows how it stands in GET /features); so clients
that evaluate by themselves find it there.
"""

import hashlib
from typing import Any, Final, TypeAlias

from msgspec import UNSET

from bucket_loader.emulator.management import shapes
from bucket_loader.model import Kind

Flag: TypeAlias = dict[str, Any]

_ID_CHARACTERS: Final = 14  # CLI: its file of settings takes no other app id


def identifier(prefix: str, name: str) -> str:
    """Return the id of something that has a name: always the same."""
    return (prefix + hashlib.sha256(name.encode()).hexdigest())[:_ID_CHARACTERS]


def flag_id(flag: Flag) -> str:
    """Return the id of a flag."""
    return identifier("fl", flag["key"])


def key(flag: Flag) -> str:
    """Return the key of a flag."""
    return str(flag["key"])


def created_at(flag: Flag) -> str:
    """Return when a flag was made."""
    return str(flag["createdAt"])


def name(flag: Flag) -> str:
    """Return the name of a flag; its key where nobody named it."""
    given = flag.get("name")
    return given if isinstance(given, str) and given else str(flag["key"])


def new(asked: shapes.NewFlag) -> Flag:
    """Return a flag that is off for everybody."""
    return {
        "key": asked.key,
        "name": asked.name,
        "description": asked.description,
        "permanent": asked.permanent,
        "secret": asked.secret,
        "targeting": {"version": 1, "rules": []},
    }


def change(flag: Flag, asked: shapes.FlagChange) -> None:
    """Change what is named; the flag is evaluated as before, also when it is archived (assumed)."""
    for member, value in (
        ("name", asked.name),
        ("description", asked.description),
        ("permanent", asked.permanent),
        ("secret", asked.secret),
        ("archived", asked.is_archived),
    ):
        if value is not UNSET:
            flag[member] = value


def header(flag: Flag) -> shapes.FlagHeader:
    """Return a flag as the management API shows it."""
    return shapes.FlagHeader(
        id=flag_id(flag),
        key=flag["key"],
        name=name(flag),
        description=flag.get("description") or UNSET,
        stage=flag.get("stage", UNSET),
        created_at=flag["createdAt"],
        archived=flag.get("archived") is True,
        permanent=flag.get("permanent") is True,
    )


def listed(flag: Flag, *, with_configs: bool) -> shapes.FlagListed:
    """Return a flag as the command line wants it."""
    variants = (flag.get("config") or {}).get("variants", []) if with_configs else []
    items = [shapes.RemoteConfigItem(shapes.RemoteVariant(one["key"], one.get("payload"))) for one in variants]
    return shapes.FlagListed(
        id=flag_id(flag),
        key=flag["key"],
        name=name(flag),
        description=flag.get("description"),
        stage=flag.get("stage"),
        remote_configs=[shapes.RemoteConfig(items)] if items else [],
    )


# --- who is targeted by name ---------------------------------------------------------------------------------------


def _rule(kind: Kind, names: list[str]) -> dict[str, Any]:
    return {"filter": {"type": "context", "field": f"{kind.name}.id", "operator": "ANY_OF", "values": names}}


def targets(flag: Flag, kind: Kind) -> list[str]:
    """Return the ids of the users, or of the companies, that a flag is on for whatever its rules say."""
    for rule in flag["targeting"]["rules"]:
        values = rule["filter"].get("values") or []
        if rule == _rule(kind, values):
            return list(values)
    return []


def target(flag: Flag, kind: Kind, one: str, *, on: bool) -> None:
    """Add a user or company to those that a flag is on for by name, or take it out."""
    before = targets(flag, kind)
    if on == (one in before):
        return
    after = [*before, one] if on else [known for known in before if known != one]
    targeting = flag["targeting"]
    others = [rule for rule in targeting["rules"] if not before or rule != _rule(kind, before)]
    targeting["rules"] = [*others, _rule(kind, after)] if after else others
    targeting["version"] += 1
