"""Gates: `limits:` held against a finished plan before anything is sent, so that a mistake stops before it does harm.

baseline  what is known of a stream's last whole reading; the ledger keeps it
case      one stream of a plan, and what it is compared with
listed    the gates: what each asks of a case, and what a person does next
held      all gates against all streams of a plan
"""

from bucket_loader.planning.gates.baseline import baseline_of
from bucket_loader.planning.gates.held import check, require_fields, stops, warnings

__all__ = ["baseline_of", "check", "require_fields", "stops", "warnings"]
