"""The pytest plugin: the fixture `bucket`, a local Bucket API for the tests of somebody's own integration.

    def test_signing_up(bucket):
        bucket.flag("huddle", on=True)
        my_app.sign_up("u1")
        bucket.expect(event="signed up", user="u1", within=2)

pytest finds it by the entry point `pytest11`. Importing this loads nothing: every session of pytest does it, also one
that has no use for the fixture.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bucket_loader.integrations.pytest.bucket import Bucket, Company, Refused, User
    from bucket_loader.integrations.pytest.records import Record

__all__ = ["Bucket", "Company", "Record", "Refused", "User"]

# Names an emulator that runs already.
URL_VARIABLE: Final = "BUCKET_EMULATOR_URL"

_HOMES: Final = dict.fromkeys(__all__, f"{__name__}.bucket") | {"Record": f"{__name__}.records"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any public name
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
