"""A Singer target on Meltano's SDK: a BatchSink of a hundred records, fed by the tap beside it.

Set as the SDK's documentation offers it for speed: its msgspec reader, and no validation of records against the
stream's schema.

    python singer_target.py          both, joined by a pipe
    python singer_target.py target   the target alone
"""

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from shared import CHUNK, begin, post


def serve() -> None:
    """Be the target."""
    import msgspec
    from singer_sdk import BatchSink, Target
    from singer_sdk.contrib.msgspec import MsgSpecReader

    encoder = msgspec.json.Encoder(decimal_format="number")

    class BulkSink(BatchSink):
        """Sends a batch."""

        max_size = CHUNK

        def process_batch(self, context: dict[str, Any]) -> None:
            """Send it."""
            post(encoder.encode([record(row) for row in context["records"]]))

    class BucketTarget(Target):
        """The target."""

        name = "target-bucket"
        config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {}}
        default_sink_class = BulkSink
        message_reader_class = MsgSpecReader

    begin()
    BucketTarget(config={"validate_records": False, "add_record_metadata": False}).listen()


def record(row: dict[str, Any]) -> dict[str, Any]:
    """Make a row the event that the API takes; a time is text in Singer."""
    used_at = row["used_at"]  # without a fraction where that is zero
    attributes = {name: row[name] for name in ("duration_seconds", "is_beta", "note", "region", "usage_count")}
    return {
        "type": "event",
        "userId": row["user_id"],
        "companyId": row["account_id"],
        "event": row["feature_name"],
        "timestamp": (used_at[:23] if "." in used_at else used_at + ".000") + "Z",
        "attributes": attributes,
    }


def main() -> None:
    """Join the two."""
    here = Path(__file__)
    tap = subprocess.Popen([sys.executable, here.with_name("singer_tap.py")], stdout=subprocess.PIPE)  # noqa: S603
    target = subprocess.run([sys.executable, here, "target"], stdin=tap.stdout, check=False)  # noqa: S603
    if tap.stdout:
        tap.stdout.close()
    sys.exit(target.returncode or tap.wait())


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["target"] else main()
