from . import (
    yaml_file as yaml_file,
)
from .pipeline import (
    PATH_PARAMETER as PATH_PARAMETER,
)
from .pipeline import (
    REMOTE as REMOTE,
)
from .pipeline import (
    SQL_PARAMETERS as SQL_PARAMETERS,
)
from .pipeline import (
    AnySource as AnySource,
)
from .pipeline import (
    ArrowSource as ArrowSource,
)
from .pipeline import (
    CsvSource as CsvSource,
)
from .pipeline import (
    Cursor as Cursor,
)
from .pipeline import (
    DeltaSource as DeltaSource,
)
from .pipeline import (
    Destination as Destination,
)
from .pipeline import (
    ExcelSource as ExcelSource,
)
from .pipeline import (
    Fields as Fields,
)
from .pipeline import (
    FieldSpec as FieldSpec,
)
from .pipeline import (
    FileSource as FileSource,
)
from .pipeline import (
    FrameSource as FrameSource,
)
from .pipeline import (
    IcebergSource as IcebergSource,
)
from .pipeline import (
    JsonLinesSource as JsonLinesSource,
)
from .pipeline import (
    Limits as Limits,
)
from .pipeline import (
    OnRemoved as OnRemoved,
)
from .pipeline import (
    ParquetSource as ParquetSource,
)
from .pipeline import (
    Pipeline as Pipeline,
)
from .pipeline import (
    QuerySource as QuerySource,
)
from .pipeline import (
    Share as Share,
)
from .pipeline import (
    SqlDialect as SqlDialect,
)
from .pipeline import (
    SqlSource as SqlSource,
)
from .pipeline import (
    Storage as Storage,
)
from .pipeline import (
    Stream as Stream,
)
from .pipeline import (
    Values as Values,
)
from .pipeline import (
    directives as directives,
)
from .pipeline import (
    duration_s as duration_s,
)
from .pipeline import (
    interval_is_used as interval_is_used,
)
from .pipeline import (
    scheme_of as scheme_of,
)
from .pipeline import (
    share as share,
)
from .pipeline import (
    sql_code as sql_code,
)
from .pipeline import (
    sql_parameters as sql_parameters,
)
from .pipeline import (
    with_parameter_style as with_parameter_style,
)
from .pipeline import (
    with_parameters as with_parameters,
)
from .yaml_file import (
    json_schema as json_schema,
)
from .yaml_file import (
    load_pipeline as load_pipeline,
)
from .yaml_file import (
    mapping_fingerprint as mapping_fingerprint,
)
from .yaml_file import (
    pipeline_from as pipeline_from,
)
