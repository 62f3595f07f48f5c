from .comparing import (
    Compared as Compared,
    Identity as Identity,
    Known as Known,
    compare as compare,
    refused_beside as refused_beside,
)
from .merging import (
    Keeps as Keeps,
    claims as claims,
    holds_delivered as holds_delivered,
    merge as merge,
    merged as merged,
    rewrite as rewrite,
    rows_of as rows_of,
    take_over as take_over,
    to_merge as to_merge,
    write_part as write_part,
)
from .pages import (
    PART_SCHEMA as PART_SCHEMA,
    PART_SCHEMA_WITH_IDS as PART_SCHEMA_WITH_IDS,
    Bytes as Bytes,
    FileBytes as FileBytes,
    Written as Written,
    as_keys as as_keys,
    is_sound as is_sound,
    read_index as read_index,
    write_pages as write_pages,
)
from .parts import (
    REMOVED as REMOVED,
    Memory as Memory,
    Part as Part,
    opened as opened,
    removed_scalar as removed_scalar,
)
from .removed import (
    PRESENT_SCHEMA as PRESENT_SCHEMA,
    Removed as Removed,
    find_removed as find_removed,
)
