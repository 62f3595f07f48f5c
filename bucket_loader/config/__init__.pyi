from . import (
    document as document,
    yaml_file as yaml_file,
)
from .addresses import (
    PATH_PARAMETER as PATH_PARAMETER,
    REMOTE as REMOTE,
    scheme_of as scheme_of,
)
from .any_source import (
    AnySource as AnySource,
    source_from as source_from,
)
from .assert_file import (
    Assertions as Assertions,
    assert_schema as assert_schema,
    load_assertions as load_assertions,
)
from .databases import (
    DbtSource as DbtSource,
    Require as Require,
    SqlSource as SqlSource,
)
from .destination import (
    Destination as Destination,
    destination_at as destination_at,
)
from .expected import (
    ABSENT as ABSENT,
    LISTED as LISTED,
    Context as Context,
    Expectation as Expectation,
    Expected as Expected,
    Feature as Feature,
    RejectedRow as RejectedRow,
    Seen as Seen,
    Sent as Sent,
    Whom as Whom,
)
from .fingerprints import (
    mapping_fingerprint as mapping_fingerprint,
)
from .fixtures import (
    UnknownFixtureError as UnknownFixtureError,
)
from .found import (
    names_of_streams as names_of_streams,
    only_pipeline_file as only_pipeline_file,
    pipeline_files as pipeline_files,
)
from .limits import (
    NO_LIMITS as NO_LIMITS,
    FreshLimit as FreshLimit,
    Limits as Limits,
    TopLimits as TopLimits,
    may_send as may_send,
)
from .mapping import (
    NAMED_VALUES as NAMED_VALUES,
    Fields as Fields,
    FieldSpec as FieldSpec,
    Values as Values,
)
from .notify import (
    Notify as Notify,
    Occasion as Occasion,
)
from .pipeline import (
    Owner as Owner,
    Pipeline as Pipeline,
)
from .plugins import (
    BROKEN as BROKEN,
    PluginError as PluginError,
    complaints as complaints,
    package_of as package_of,
    taken_names as taken_names,
    type_by_end as type_by_end,
    type_of as type_of,
)
from .scalars import (
    Share as Share,
    directives as directives,
    duration_s as duration_s,
    share as share,
)
from .source_base import (
    SourceSpec as SourceSpec,
)
from .sources import (
    SOURCE_TYPES as SOURCE_TYPES,
    CsvSource as CsvSource,
    DeltaSource as DeltaSource,
    ExcelSource as ExcelSource,
    FileSource as FileSource,
    FixtureSource as FixtureSource,
    FrameSource as FrameSource,
    IcebergSource as IcebergSource,
    JsonLinesSource as JsonLinesSource,
    ParquetSource as ParquetSource,
    QuerySource as QuerySource,
    SourceType as SourceType,
    Storage as Storage,
    interval_is_used as interval_is_used,
    shown_suffixes as shown_suffixes,
    type_of_path as type_of_path,
)
from .spark import SparkFrameSource as SparkFrameSource, SparkSource as SparkSource
from .sql_text import (
    SQL_PARAMETERS as SQL_PARAMETERS,
    SqlDialect as SqlDialect,
    sql_code as sql_code,
    sql_parameters as sql_parameters,
    with_parameter_style as with_parameter_style,
    with_parameters as with_parameters,
)
from .stream import (
    Cursor as Cursor,
    OnRemoved as OnRemoved,
    Stream as Stream,
)
from .yaml_file import (
    json_schema as json_schema,
    lacks_key as lacks_key,
    load_pipeline as load_pipeline,
    look_at_pipeline as look_at_pipeline,
    pipeline_from as pipeline_from,
)
