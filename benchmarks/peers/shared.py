"""What every peer written in Python shares. It runs in the peer's own environment, with nothing of ours."""

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import requests

CHUNK: Final = 100
KEY: Final = os.environ.get("BENCHMARK_KEY", "")
URL: Final = os.environ.get("BENCHMARK_URL", "") + "/bulk"
FILE: Final = os.environ.get("BENCHMARK_FILE", "")
HEADERS: Final = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
_local = threading.local()


def begin() -> None:
    """Say that everything is imported: what is measured begins here."""
    Path(os.environ["BENCHMARK_BEGAN"]).write_text(f"{time.monotonic()} {time.process_time()}")


def session() -> "requests.Session":
    """Return this thread's session, which waits and tries again when it is told to, as urllib3 advises."""
    if not hasattr(_local, "session"):
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        again = Retry(total=20, status_forcelist=(429, 500, 502, 503), allowed_methods=None, backoff_factor=0.1)
        _local.session = requests.Session()
        _local.session.mount("http://", HTTPAdapter(max_retries=again))
        _local.session.headers.update(HEADERS)
    found: requests.Session = _local.session
    return found


def post(body: bytes) -> None:
    """Send a body; anything but success ends the peer."""
    answer = session().post(URL, data=body, timeout=30)
    answer.raise_for_status()
    if not answer.json()["success"]:
        raise RuntimeError(answer.text)


def record(row: dict[str, Any]) -> dict[str, Any]:
    """Make a row of the export the event that the API takes."""
    return {
        "type": "event",
        "userId": row["user_id"],
        "companyId": row["account_id"],
        "event": row["feature_name"],
        "timestamp": row["used_at"].isoformat(timespec="milliseconds")[:23] + "Z",
        "attributes": {
            "duration_seconds": row["duration_seconds"],
            "is_beta": row["is_beta"],
            "note": row["note"],
            "region": row.get("region"),
            "usage_count": row["usage_count"],
        },
    }
