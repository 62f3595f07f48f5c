"""The calls about flags. Two of them are the command line's own: it calls flags features."""

from typing import Final

from bucket_loader.emulator.management import definitions, shapes
from bucket_loader.emulator.management.asking import Asked, RefusedError, env_id, invalid, missing, one_of
from bucket_loader.emulator.management.definitions import Flag

SORTED_BY: Final = {"key": definitions.key, "name": definitions.name, "createdAt": definitions.created_at}
SORT_ORDERS: Final = ("asc", "desc")


def list_flags(asked: Asked) -> shapes.Flags:
    """Return all flags."""
    return shapes.Flags([definitions.header(flag) for flag in asked.flags()])


def create_flag(asked: Asked) -> shapes.FlagChanged:
    """Make a flag that is off for everybody."""
    return _changed(asked, _made(asked))


def change_flag(asked: Asked) -> shapes.FlagChanged:
    """Change the name, the description or a mark of a flag."""
    flags, change = asked.flags(), asked.read(shapes.FlagChange)
    flag = one_of(flags, definitions.flag_id, asked.ids["flagId"])
    definitions.change(flag, change)
    asked.define(flags)
    return _changed(asked, flag["key"])


def list_features(asked: Asked) -> shapes.FlagsListed:
    """Return all flags, for the command line."""
    sort_by, order = asked.query.get("sortBy", "key"), asked.query.get("sortOrder", "asc")
    if sort_by not in SORTED_BY:
        raise invalid("sortBy", f"must be one of {', '.join(SORTED_BY)}")
    if order not in SORT_ORDERS:
        raise invalid("sortOrder", f"must be {' or '.join(SORT_ORDERS)}")
    if "envId" not in asked.query:
        raise invalid("envId", "must be the environment of the key")
    if asked.query["envId"] != env_id(asked.environment):
        raise missing("environment")
    flags = sorted(asked.flags(), key=SORTED_BY[sort_by], reverse=order == "desc")
    with_configs = asked.query.get("includeRemoteConfigs") in {"true", "1"}
    data = [definitions.listed(flag, with_configs=with_configs) for flag in flags]
    return shapes.FlagsListed(total_count=len(data), page_size=len(data), data=data, sort_by=sort_by, sort_order=order)


def create_feature(asked: Asked) -> shapes.FlagMade:
    """Make a flag that is off for everybody, for the command line."""
    key = _made(asked)
    return shapes.FlagMade(definitions.listed(_now(asked, key), with_configs=False))


def _made(asked: Asked) -> str:
    """Make a flag; return its key."""
    flags, wanted = asked.flags(), asked.read(shapes.NewFlag)
    if any(flag["key"] == wanted.key for flag in flags):
        raise RefusedError(400, "not_possible", "There is a flag with this key already", {"key": "Taken"})
    asked.define([*flags, definitions.new(wanted)])
    return wanted.key


def _now(asked: Asked, key: str) -> Flag:
    """Return a flag as it is after a change."""
    return one_of(asked.flags(), definitions.key, key)


def _changed(asked: Asked, key: str) -> shapes.FlagChanged:
    return shapes.FlagChanged(definitions.header(_now(asked, key)), {env_id(asked.environment): asked.version})
