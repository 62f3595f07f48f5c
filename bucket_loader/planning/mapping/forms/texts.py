"""The forms of texts: any value in its spelling, ids, and hashes of either."""

import hashlib
from dataclasses import replace
from typing import Final

from bucket_loader.config import FieldSpec
from bucket_loader.planning.mapping.forms.form import JSON_TEXT, NESTED, NUL, UNPARSED, Family, Form, Wrong
from bucket_loader.planning.mapping.forms.natural import natural
from bucket_loader.planning.mapping.forms.numbers import INTEGER_MAX

# Most texts are told from a blank by their first letter, a tenth of the work of trimming them.
BLANK: Final = "CASE WHEN {0} < '!' THEN trim({0}, ' \t\r\n') = '' ELSE false END"
BLANK_MESSAGE: Final = "is blank, which identifies nothing"


def string(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    """Return any value as text, in the spelling that it has on the wire; hashed where the field asks for it."""
    form = _string(of, duckdb_type, spec, place)
    if spec.hash is None:
        return form
    spelt = _spelt(form)
    hashed = f"sha256({spelt.value})" if spec.hash == "sha256" else _HMAC.replace("{text}", spelt.value)
    return Form(spelt.parsed, hashed, wrong=spelt.wrong)


# HMAC-SHA256 (RFC 2104). The key is in variables of the connection, so that no statement and no error shows it.
_HMAC: Final = "sha256(getvariable('hmac_outer') || unhex(sha256(getvariable('hmac_inner') || encode({text}))))"
_BLOCK: Final = 64  # bytes that SHA-256 works on


def hmac_blocks(key: bytes | None) -> dict[str, bytes]:
    """Return the two blocks that an HMAC begins its hashes with, by their variables' names; none without a key."""
    if key is None:
        return {}
    key = hashlib.sha256(key).digest() if len(key) > _BLOCK else key
    padded = key.ljust(_BLOCK, b"\0")
    return {"hmac_inner": bytes(byte ^ 0x36 for byte in padded), "hmac_outer": bytes(byte ^ 0x5C for byte in padded)}


def _spelt(form: Form) -> Form:
    """Return a form whose value is its text, whatever type it had."""

    def inlined(template: str) -> str:
        return template.replace("{v}", f"({form.value})")

    wrong = tuple(Wrong(inlined(one.predicate), one.code, one.message) for one in form.wrong)
    return Form(form.parsed, inlined(form.text), wrong=wrong)


def _string(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    if of == "json":
        return Form(parsed=JSON_TEXT, wrong=(NUL,))
    if of == "binary":
        match spec.encoding:
            case "hex":
                return Form(value="lower(hex({p}))")
            case "base64":
                return Form(value="base64({p})")
            case "utf8":
                return Form(parsed="TRY(decode({n}))", wrong=(Wrong(UNPARSED, "encoding", "is not UTF-8"), NUL))
            case _:
                return natural(of, duckdb_type, spec, place)
    form = natural(of, duckdb_type, spec, place)
    if of in {"integer", "float", "boolean"}:
        return Form(form.parsed, form.value, f"CAST(to_json({form.text}) AS VARCHAR)", form.text, form.wrong)
    if of in {"timestamp", "zoned", "date"}:
        return form
    return Form(form.parsed, form.value, "CAST(to_json({v}) AS VARCHAR)", form.text, form.wrong)


def identity(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    """Return an id as text, exactly as the source spells it; a float must be a whole number below 2^53."""
    form = string(of, duckdb_type, spec, place)
    form = form if spec.hash is not None or of == "text" else _spelt(form)
    wrong = form.wrong
    if of == "float":
        inexact = f"{{p}} IS NOT NULL AND isfinite({{p}}) AND ({{p}} <> trunc({{p}}) OR abs({{p}}) > {INTEGER_MAX})"
        wrong += (Wrong(inexact, "inexact_id", "is a float that is not a whole number below 2^53"),)
    if of == "json":
        wrong += (Wrong(NESTED, "nested", "is an object or a list, and not one value"),)
    if spec.hash is not None:
        # The hash of a blank is no blank: what identifies nothing has to be seen before.
        blank = f"{{p}} IS NOT NULL AND {BLANK.format('CAST({p} AS VARCHAR)')}"
        wrong += (Wrong(blank, "blank", BLANK_MESSAGE),)
    return Form(form.parsed, form.value, form.json, form.text, wrong)


def empty_is_absent(form: Form) -> Form:
    """Return a form in which an empty text is null."""
    return replace(form, value=f"CASE WHEN CAST({{p}} AS VARCHAR) <> '' THEN {form.value} END")
