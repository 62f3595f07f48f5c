from .chosen import (
    Chosen as Chosen,
)
from .comparing import (
    Compared as Compared,
    Comparison as Comparison,
    Identity as Identity,
    compare as compare,
    conflicting as conflicting,
    ranges_of as ranges_of,
)
from .merging import (
    Keeps as Keeps,
    Pruned as Pruned,
    claims as claims,
    holds_delivered as holds_delivered,
    merge as merge,
    merged as merged,
    reshaped as reshaped,
    rewrite as rewrite,
    rows_of as rows_of,
    take_over as take_over,
    to_merge as to_merge,
    write_part as write_part,
)
from .pages import (
    PART_SCHEMA as PART_SCHEMA,
    Bytes as Bytes,
    FileBytes as FileBytes,
    Keys as Keys,
    Written as Written,
    as_keys as as_keys,
    is_sound as is_sound,
    order_of as order_of,
    part_schema as part_schema,
    read_index as read_index,
    schema_of as schema_of,
    write_pages as write_pages,
)
from .parts import (
    REMOVED as REMOVED,
    KeyRange as KeyRange,
    Memory as Memory,
    Part as Part,
    key_ranges as key_ranges,
    opened as opened,
    removed_scalar as removed_scalar,
)
from .removed import (
    PRESENT_SCHEMA as PRESENT_SCHEMA,
    Removed as Removed,
    find_removed as find_removed,
)
from .staged import (
    StagedRange as StagedRange,
    by_range as by_range,
    cut as cut,
)
