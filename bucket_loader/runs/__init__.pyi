from .about import (
    Subject as Subject,
)
from .audit import (
    audit_memory as audit_memory,
    audit_run as audit_run,
)
from .backfill import (
    run_windows as run_windows,
    windows as windows,
)
from .checking.check import (
    check_job as check_job,
)
from .checking.host import (
    try_key as try_key,
)
from .demo import (
    lay_out_demo as lay_out_demo,
)
from .diff import (
    plan_with_diff as plan_with_diff,
)
from .erase import (
    erase as erase,
)
from .explaining import (
    explained_features as explained_features,
    tell_explained as tell_explained,
)
from .exposures import (
    exposures_of as exposures_of,
    is_written as is_written,
    write_exposures as write_exposures,
)
from .features import (
    defined_features as defined_features,
    evaluated_features as evaluated_features,
    evaluation_context as evaluation_context,
    tell_defined as tell_defined,
    tell_evaluated as tell_evaluated,
)
from .features_file import (
    save_features as save_features,
)
from .fixtures import (
    read_fixtures as read_fixtures,
)
from .forget import (
    forget_streams as forget_streams,
)
from .from_python.check import (
    check as check,
)
from .from_python.load import (
    load as load,
)
from .from_python.plan import (
    plan as plan,
)
from .from_python.rehearse import (
    rehearse as rehearse,
)
from .from_python.status import (
    status as status,
)
from .history.tables import (
    HISTORY_TABLES as HISTORY_TABLES,
)
from .history.telling import (
    Format as Format,
    tell_history as tell_history,
)
from .impact.command import (
    ImpactAsked as ImpactAsked,
    impact_job as impact_job,
)
from .init.dbt import (
    DbtName as DbtName,
)
from .init.first import (
    first_pipeline as first_pipeline,
    write_first as write_first,
)
from .init.questions import (
    Question as Question,
)
from .inspect import (
    MadePlan as MadePlan,
    plan_as_json as plan_as_json,
    plan_job as plan_job,
    tell_plan as tell_plan,
    tell_stops as tell_stops,
)
from .job import (
    OPTIONS as OPTIONS,
    Job as Job,
    RunOptions as RunOptions,
    make_job as make_job,
    places_in as places_in,
    read_duration_s as read_duration_s,
    read_interval as read_interval,
    read_options as read_options,
    spelt_in_python as spelt_in_python,
)
from .life.explain import (
    explain_row as explain_row,
)
from .life.life import (
    life_of as life_of,
)
from .life.sought import (
    Sought as Sought,
)
from .lifecycle import (
    abandon_run as abandon_run,
    prune_state as prune_state,
)
from .receipts import (
    interval_receipts as interval_receipts,
    tell_receipts as tell_receipts,
)
from .rehearse import (
    Asked as Asked,
    rehearsed as rehearsed,
    wait_for_a_person as wait_for_a_person,
)
from .rejected import (
    RejectedRows as RejectedRows,
)
from .release import (
    Chosen as Chosen,
    release_held as release_held,
)
from .replay.letters import (
    pipeline_file_of as pipeline_file_of,
)
from .replay.replay import (
    replay_file as replay_file,
)
from .report.known import (
    ReportAsked as ReportAsked,
)
from .report.pages import (
    report_of as report_of,
    report_of_failure as report_of_failure,
    require_report_file as require_report_file,
)
from .run import (
    run_job as run_job,
)
from .senders.joining import (
    deliver_job as deliver_job,
)
from .senders.planned import (
    plan_for_senders as plan_for_senders,
)
from .status import (
    last_runs as last_runs,
    past_runs as past_runs,
    tell_pipelines as tell_pipelines,
    tell_run as tell_run,
    tell_status as tell_status,
)
