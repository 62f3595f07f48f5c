from . import (
    duck as duck,
)
from .base import (
    SourceContext as SourceContext,
    counted as counted,
    numbered as numbered,
)
from .databases.address import (
    database_scheme as database_scheme,
)
from .dbt.requirement import (
    require_built as require_built,
)
from .dbt.source import (
    DbtFiles as DbtFiles,
)
from .duck import (
    keep_silent as keep_silent,
)
from .extent import (
    Extent as Extent,
    extent_of as extent_of,
)
from .files.csv import (
    delimiter_hint as delimiter_hint,
)
from .files.csv_look import (
    csv_words as csv_words,
)
from .files.excel_look import (
    SheetLook as SheetLook,
    sheets_in as sheets_in,
)
from .files.input_file import (
    NothingFoundError as NothingFoundError,
)
from .files.tables import (
    TableFolder as TableFolder,
    table_at as table_at,
)
from .frame import (
    frame_of as frame_of,
)
from .lineage.lineage import (
    Around as Around,
    upstream_of as upstream_of,
)
from .lineage.upstream import (
    Dataset as Dataset,
    DatasetColumn as DatasetColumn,
    Upstream as Upstream,
)
from .query import (
    asked_columns as asked_columns,
    table_names as table_names,
)
from .registry import (
    open_source as open_source,
)
from .spark.session import (
    is_spark_frame as is_spark_frame,
)
from .spark.tasks import (
    SparkTasks as SparkTasks,
)
from .staged import (
    StagedSource as StagedSource,
    stage as stage,
)
from .stores.remote import (
    Place as Place,
    place_of as place_of,
)
from .values.types import (
    members_alike as members_alike,
)
