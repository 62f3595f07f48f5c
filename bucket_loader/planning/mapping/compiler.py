"""From `fields:` to a `Mapping`, step by step: columns, members, forms, checks, and the SELECT over them."""

from datetime import datetime

import pyarrow as pa

from bucket_loader.config import Stream
from bucket_loader.model import Api
from bucket_loader.planning.mapping.apply import Mapping
from bucket_loader.planning.mapping.asked import NOTHING_ASKED, Asked
from bucket_loader.planning.mapping.changed_forms import changed_forms
from bucket_loader.planning.mapping.checks import BITS, checks_of
from bucket_loader.planning.mapping.columns import excluded_names, read_columns, used_columns
from bucket_loader.planning.mapping.database import SideDatabase, connected
from bucket_loader.planning.mapping.excluded import Excluded
from bucket_loader.planning.mapping.fields import Fields
from bucket_loader.planning.mapping.forming import Forming, input_schema
from bucket_loader.planning.mapping.forms.texts import hmac_blocks
from bucket_loader.planning.mapping.gathered import gathered
from bucket_loader.planning.mapping.members import Value
from bucket_loader.planning.mapping.mistakes import Mistakes
from bucket_loader.planning.mapping.nested.bulk import Bulk
from bucket_loader.planning.mapping.nested.lists import FLATTENED, Arrays
from bucket_loader.planning.mapping.paths import paths_of
from bucket_loader.planning.mapping.query import BatchQuery
from bucket_loader.planning.mapping.select import Select
from bucket_loader.planning.mapping.spec import MappingSpec


def compile_mapping(  # noqa: PLR0913  # what a mapping depends on
    stream: Stream,
    schema: pa.Schema,
    *,
    as_of: datetime,
    record_bytes_max: int,
    api: Api = "front",
    hash_key: bytes | None = None,
    hashed: bool = False,
    arrays: Arrays = FLATTENED,
    asked: Asked = NOTHING_ASKED,
) -> Mapping:
    """Compile a stream's fields against a source's columns.

    Args:
        stream: what the pipeline file says.
        schema: the source's columns.
        as_of: the run's time: `:as_of`, the timestamp of records without one, and the latest believable moment.
        record_bytes_max: bytes of UTF-8 that one record may have (a chunk's, less its brackets).
        api: the one that the records are for.
        hash_key: what `hash: hmac` is keyed with.
        hashed: whether a stream that remembers nothing has to hash its records as well.
        arrays: how lists are sent.
        asked: what limits ask of the rows.

    Raises:
        UsageError: columns are missing (all are named), or a value has no form (all are named).
    """
    paths = paths_of([*read_columns(stream), *([asked.fresh] if asked.fresh else ())], schema)
    spec = MappingSpec(stream, schema, as_of, api, paths, hashed, arrays, asked)
    return _compiled(spec, record_bytes_max, hash_key)


def _compiled(spec: MappingSpec, record_bytes_max: int, hash_key: bytes | None) -> Mapping:
    stream, mistakes = spec.stream, Mistakes(spec.stream.name)
    used = used_columns(spec, mistakes)
    fields = Fields(spec, used, mistakes)
    members = fields.members()
    named = used.numbers(spec)
    columns = sorted({*fields.columns(), *named.values()})
    input_ = input_schema(spec, columns, fields.nested)

    connection = connected()
    for variable, block in hmac_blocks(hash_key).items():
        connection.execute(f"SET VARIABLE {variable} = $1", [block])
    forming = Forming(connection, spec, input_, named, mistakes)
    values = forming.formed(fields.values)
    members = {
        name: [values[one.number] if isinstance(one, Value) else one for one in field]
        for name, field in members.items()
    }
    checks = checks_of(spec, members, record_bytes_max)
    side = SideDatabase()  # nested values are spelt before the SELECT, while it runs
    found = gathered(spec, members, None if fields.fresh is None else values[fields.fresh.number])
    select = Select(spec, members, values, checks, columns, named, found.columns)
    return Mapping(
        query=BatchQuery(connection, select.text(), input_),
        side=side,
        columns=tuple(columns),
        paths=spec.paths,
        checks=tuple(checks),
        bulk=tuple(Bulk(one, spec.schema.field(one.column).type, side) for one in fields.nested),
        excluded=Excluded(stream.name, excluded_names(stream), spec.source),
        gathered=found,
        spread=fields.spread,
        stream=stream.name,
        masks=-(-len(checks) // BITS),
        subject=stream.kind.subject if stream.on_removed is not None else None,
        changed_forms=changed_forms([*forming.seen, *fields.seen()]),
        notes=tuple(fields.notes),
        has_lists=fields.has_lists(),
        is_rekeyed=bool(changed_forms(one for one in forming.seen if one.is_key)),
    )
