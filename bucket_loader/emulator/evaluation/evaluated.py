"""What GET /features/evaluated and its likes answer: features held against a context.

Source: S1 (the members of an entry, and of its config), BROW and TRK (what old clients want beside them).
"""

from typing import Any

import msgspec

from bucket_loader.emulator.evaluation.features import Config, Feature
from bucket_loader.emulator.store.store import Seen, Store
from bucket_loader.model import Context, evaluate, flatten

_unpack = msgspec.json.Decoder(dict[str, Any]).decode


def remembered(store: Store, context: Context) -> dict[str, str]:
    """Return the stored attributes of the user and the company that a context names by id, as fields."""
    named: dict[str, Seen | None] = {
        "user": store.users.get(context.get("user.id", "")),
        "company": store.companies.get(context.get("company.id", "")),
    }
    known = {name: _unpack(seen.attributes) for name, seen in named.items() if seen is not None}
    return flatten({name: attributes for name, attributes in known.items() if attributes})


def entry(feature: Feature, context: Context, now_ms: float) -> dict[str, Any]:
    """Return one feature for one context.

    `value` and `version` are what the first browser clients read; they do not mind the others.
    """
    evaluation = evaluate([rule.filter for rule in feature.targeting.rules], context, now_ms)
    is_enabled = evaluation.matched is not None
    shown = {
        "key": feature.key,
        "isEnabled": is_enabled,
        "targetingVersion": feature.targeting.version,
        "ruleEvaluationResults": evaluation.results,
        "missingContextFields": evaluation.missing,
        "value": is_enabled,
        "version": feature.targeting.version,
    }
    if feature.config is not None:
        shown["config"] = _config(feature.config, context, now_ms)
    return shown


def _config(config: Config, context: Context, now_ms: float) -> dict[str, Any]:
    """Return the variant that a context gets; S1 calls its key `name`, clients read `key` (C15)."""
    evaluation = evaluate([variant.filter for variant in config.variants], context, now_ms)
    variant = None if evaluation.matched is None else config.variants[evaluation.matched]
    key = None if variant is None else variant.key
    return {
        "key": key,
        "name": key,
        "version": config.version,
        "default": variant is None,
        "payload": None if variant is None else variant.payload,
        "ruleEvaluationResults": evaluation.results,
        "missingContextFields": evaluation.missing,
    }
