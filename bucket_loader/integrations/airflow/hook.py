"""The hook: a Bucket connection, as the variables that pipeline files refer to, and a test that only reads."""

from typing import TYPE_CHECKING, Any, Final

from bucket_loader.integrations.airflow import (
    ENVIRONMENT_FIELD,
    ENVIRONMENT_HELP,
    ENVIRONMENT_LABEL,
    HIDDEN_FIELDS,
    LABELS,
    PLACEHOLDERS,
)
from bucket_loader.integrations.airflow.versions import AirflowNotFoundException, BaseHook
from bucket_loader.model import BucketLoaderError, UsageError

if TYPE_CHECKING:
    from bucket_loader.config import Destination

BASE_URL: Final = "BUCKET_BASE_URL"
KEY: Final = "BUCKET_SECRET_KEY"
ENVIRONMENT: Final = "BUCKET_ENVIRONMENT"
_NO_SOURCE: Final = {"type": "frame", "frame": None}


class BucketHook(BaseHook):  # type: ignore[misc]  # Airflow lives in environments of its own
    """A connection of type `bucket`: host is the base URL, password the secret key, and an environment's name."""

    conn_name_attr = "bucket_conn_id"
    default_conn_name = "bucket_default"
    conn_type = "bucket"
    hook_name = "Bucket"

    def __init__(self, bucket_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.bucket_conn_id = bucket_conn_id

    def variables(self) -> dict[str, str]:
        """Return what the connection says, as pipeline files refer to it; nothing when there is no default connection.

        Raises:
            AirflowNotFoundException: a connection was named and is not there.
        """
        try:
            connection = self.get_connection(self.bucket_conn_id)
        except AirflowNotFoundException:
            if self.bucket_conn_id != self.default_conn_name:
                raise
            return {}
        environment = connection.extra_dejson.get(ENVIRONMENT_FIELD)
        given = {BASE_URL: _base_url(connection), KEY: connection.password, ENVIRONMENT: environment}
        return {name: str(value) for name, value in given.items() if value}

    def get_conn(self) -> "Destination":
        """Return the connection as a pipeline file's `destination:`.

        Raises:
            BucketLoaderError: it has no secret key, or a base URL that is none.
        """
        from bucket_loader.config import pipeline_from

        variables = self.variables()
        if KEY not in variables:
            raise UsageError(
                f"the connection {self.bucket_conn_id} has no secret key", hint="write it into the password"
            )
        destination = {"key": variables[KEY]}
        if BASE_URL in variables:
            destination["base_url"] = variables[BASE_URL]
        stream = {"name": "none", "record": "user", "source": _NO_SOURCE, "fields": {"userId": "id"}}
        return pipeline_from({"name": "connection", "destination": destination, "streams": [stream]}).destination

    def test_connection(self) -> tuple[bool, str]:
        """Try host and key with a read: the button in Airflow's form."""
        from bucket_loader.runs import try_key

        try:
            destination = self.get_conn()
            return True, f"{destination.base_url} {try_key(destination)}"
        except BucketLoaderError as error:
            return False, str(error)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Lay the form out, for Airflow before 3.2."""
        return {
            "hidden_fields": list(HIDDEN_FIELDS),
            "relabeling": dict(LABELS),
            "placeholders": dict(PLACEHOLDERS),
        }

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Add the form's own field, for Airflow before 3.2."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import StringField

        field = StringField(ENVIRONMENT_LABEL, widget=BS3TextFieldWidget(), description=ENVIRONMENT_HELP)
        return {ENVIRONMENT_FIELD: field}


def _base_url(connection: Any) -> str | None:  # noqa: ANN401  # Airflow's Connection, of either version
    """Return the host as a URL; a connection written as `bucket://:key@host:port` has no scheme for it."""
    host: str | None = connection.host
    if not host or "://" in host:
        return host
    return f"{connection.schema or 'https'}://{host}" + (f":{connection.port}" if connection.port else "")
