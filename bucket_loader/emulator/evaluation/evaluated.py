"""What GET /features/evaluated and its likes answer: features held against a context.

Source: S1 (the members of an entry, and of its config), DOC' (evaluationErrors), BROW and TRK (what old clients want
beside them).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from bucket_loader.emulator.evaluation.features import Config, Feature, OptInShown
from bucket_loader.emulator.store.opt_ins import OptedIn, OptIns
from bucket_loader.emulator.store.store import Company, Seen, Store, User
from bucket_loader.model import (
    Context,
    Edition,
    Evaluation,
    EvaluationError,
    Explanation,
    FieldValue,
    because,
    evaluate,
    explain,
    flatten,
)

_unpack = msgspec.json.Decoder(dict[str, Any]).decode


def remembered(store: Store, context: Context, edition: Edition) -> Context:
    """Return the stored attributes of the user and the company that a context names by id, as fields."""
    named: dict[str, Seen | None] = {
        "user": _named(store.users, context.get("user.id")),
        "company": _named(store.companies, context.get("company.id")),
    }
    known = {name: _unpack(seen.attributes) for name, seen in named.items() if seen is not None}
    return flatten({name: attributes for name, attributes in known.items() if attributes}, edition)


def context_of(seen: User | Company) -> Context:
    """Return the context of a user, in its default company, or of a company."""
    if isinstance(seen, Company):
        return {"company.id": seen.id}
    return {"user.id": seen.id} | ({} if seen.default_company is None else {"company.id": seen.default_company})


def _named(all_of: Mapping[str, Seen], identifier: FieldValue | None) -> Seen | None:
    return all_of.get(identifier) if isinstance(identifier, str) else None


def entry(feature: Feature, context: Context, now_ms: float, edition: Edition, opt_ins: OptIns) -> dict[str, Any]:
    """Return one feature for one context.

    `value` and `version` are what the first browser clients read; they do not mind the others.
    """
    evaluation = evaluate(feature.filters, context, now_ms, edition)
    opt_in = _opt_in(feature, opt_ins.of(feature.key, context))
    is_enabled = evaluation.matched is not None or opt_in.get("isOptedIn", False)
    shown = {
        "key": feature.key,
        "isEnabled": is_enabled,
        "targetingVersion": feature.targeting.version,
        **_reasons(evaluation, edition),
        "value": is_enabled,
        "version": feature.targeting.version,
        "optInEnabled": bool(opt_in),
        "optIn": opt_in or None,
    }
    if feature.config is not None:
        shown["config"] = _config(feature.config, context, now_ms, edition)
    return shown


def explained(feature: Feature, context: Context, now_ms: float, edition: Edition, opt_ins: OptIns) -> Explanation:
    """Return why one feature is on or off for one context; it is on exactly where `entry` says so."""
    evaluation, rules = explain(feature.filters, context, now_ms, edition)
    reason, is_enabled = because(evaluation.results), evaluation.matched is not None
    if not is_enabled and is_opted_in(feature, context, opt_ins):
        reason, is_enabled = f"opted in ({reason})", True
    return Explanation(feature.key, is_enabled, reason, rules)


def is_opted_in(feature: Feature, context: Context, opt_ins: OptIns) -> bool:
    """Whether a context has opted into a feature that can be opted into."""
    return feature.opt_in_enabled is True and any(opt_ins.of(feature.key, context))


def _opt_in(feature: Feature, opted_in: OptedIn) -> dict[str, Any]:
    """Return what a client is told of an opt-in; nothing of a feature that has none."""
    if feature.opt_in_enabled is not True:
        return {}
    shown = feature.opt_in or OptInShown()
    return {
        "userOptedIn": opted_in.user,
        "companyOptedIn": opted_in.company,
        "isOptedIn": any(opted_in),
        "name": shown.name or feature.key,
        "description": shown.description,
    }


def _config(config: Config, context: Context, now_ms: float, edition: Edition) -> dict[str, Any]:
    """Return the variant that a context gets; S1 calls its key `name`, clients read `key` (C15)."""
    evaluation = evaluate([variant.filter for variant in config.variants], context, now_ms, edition)
    variant = None if evaluation.matched is None else config.variants[evaluation.matched]
    key = None if variant is None else variant.key
    return {
        "key": key,
        "name": key,
        "version": config.version,
        "default": variant is None,
        "payload": None if variant is None else variant.payload,
        **_reasons(evaluation, edition),
    }


def _reasons(evaluation: Evaluation, edition: Edition) -> dict[str, Any]:
    """Return what led to an answer: the result of each rule, and what was wrong with the context."""
    reasons: dict[str, Any] = {
        "ruleEvaluationResults": evaluation.results,
        "missingContextFields": evaluation.missing,
    }
    if edition == "2026":
        reasons["evaluationErrors"] = [_shown(error) for error in evaluation.errors]
    return reasons


def _shown(error: EvaluationError) -> dict[str, str]:
    asked = {} if error.operator is None else {"operator": error.operator}
    return {"code": error.code, "field": error.field, **asked, "message": error.message}
