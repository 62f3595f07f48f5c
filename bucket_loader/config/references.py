"""What a pipeline file refers to: `${VAR}` in its values, and the secrets that may stand in it only so."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bucket_loader.config.document import Document, Path_, is_text

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
# Properties of an Iceberg catalog and its store that are secrets; an id, an address or a time of one is none.
_SECRET_PROPERTY: Final = re.compile(
    r"(?i)(secret|token|credential|password|key|connection-string|authorization|cookie|kerberos_ticket)"
    r"(?!.*([.-](id|uri|file|type|expires-at)$))"
)
_NOBODY: Final = "https://nobody.invalid"  # no host is called so (RFC 2606)
_ONLY_A_REFERENCE: Final = re.compile(r"\s*\$\{[A-Za-z_][A-Za-z0-9_]*\}\s*")


def is_unset(value: object, variables: Mapping[str, str]) -> bool:
    """Whether a value is nothing but a variable that is not set, or is empty."""
    found = _REFERENCE.fullmatch(str(value).strip())
    return found is not None and found[1] is not None and found[2] is None and not variables.get(found[1])


def refuse_literals(document: Document) -> None:
    """Note each secret that is written in the file, and take it out."""
    destination = document.data.get("destination")
    if isinstance(destination, dict):
        _refuse_literal_key(document, destination)
    _refuse_literal_hash_key(document)
    for path, words in _webhooks_of(document):
        _refuse_each(document, path, words, ("webhook",), "SLACK_WEBHOOK_URL")
    _refuse_literal_passwords(document)


def _refuse_literal_key(document: Document, destination: dict[str, Any]) -> None:
    key = destination.get("key")
    if key is not None and not _ONLY_A_REFERENCE.fullmatch(str(key)):
        document.mistake(
            ("destination", "key"),
            "the key is written in the file",
            "write `key: ${BUCKET_SECRET_KEY}` and set that variable; then replace this key, it has been seen",
        )
        destination["key"] = "refused"


def _refuse_literal_hash_key(document: Document) -> None:
    key = document.data.get("hash_key")
    if key is not None and not _ONLY_A_REFERENCE.fullmatch(str(key)):
        document.mistake(
            ("hash_key",),
            "the key is written in the file",
            "write `hash_key: ${BUCKET_HASH_KEY}` and set that variable; then take another key, this one has been seen",
        )
        document.data["hash_key"] = "refused-as-it-is-written-here"


def _webhooks_of(document: Document) -> list[tuple[Path_, dict[str, Any]]]:
    """Return every webhook of the file, one or several, with its place."""
    written = document.data.get("notify")
    if isinstance(written, dict):
        return [(("notify",), written)]
    listed = enumerate(written) if isinstance(written, list) else ()
    return [(("notify", index), words) for index, words in listed if isinstance(words, dict)]


def pass_over_unset_webhooks(document: Document, variables: Mapping[str, str]) -> None:
    """Put nobody's address in the place of each webhook whose variable is not set."""
    for _, words in _webhooks_of(document):
        if is_unset(words.get("webhook"), variables):
            words["webhook"] = _NOBODY


# Words of sources that say how and where to read, which nobody does who only looks at the file.
_REACHED: Final = (
    "url", "user", "password", "path", "table", "query_file", "project", "manifest", "profile", "target",
)  # fmt: skip


def pass_over_unset_places(document: Document, variables: Mapping[str, str]) -> None:
    """Put a word in the place of each address, path and password of a source whose variable is not set."""
    for path, source in sources_of(document):
        for name in _REACHED if isinstance(source, dict) else ():
            seen = Document()
            replaced(seen, (*path, name), source.get(name), variables)
            if seen.mistakes:
                source[name] = "unset"


def _refuse_literal_passwords(document: Document) -> None:
    for path, source in sources_of(document):
        if isinstance(source, dict):
            _refuse_each(document, path, source, ("password",), "DB_PASSWORD")
            catalog = source.get("catalog")
            if isinstance(catalog, dict):
                secrets = [name for name in catalog if _SECRET_PROPERTY.search(name)]
                _refuse_each(document, (*path, "catalog"), catalog, secrets, "ICEBERG_SECRET")


def _refuse_each(document: Document, path: Path_, words: dict[str, Any], names: Iterable[str], variable: str) -> None:
    for name in names:
        if words.get(name) is not None and not _ONLY_A_REFERENCE.fullmatch(str(words[name])):
            document.mistake(
                (*path, name),
                f"the {name} is written in the file",
                f"write `{name}: ${{{variable}}}` and set that variable; then change this {name}, it has been seen",
            )
            words[name] = "refused"


def sources_of(document: Document) -> list[tuple[Path_, Any]]:
    """Return every source of the file, named or inline, with its place."""
    streams, sources = document.data.get("streams"), document.data.get("sources")
    named = sources.items() if isinstance(sources, dict) else ()
    inline = enumerate(streams) if isinstance(streams, list) else ()
    found: list[tuple[Path_, Any]] = [(("sources", name), source) for name, source in named]
    found += [
        (("streams", index, "source"), stream.get("source")) for index, stream in inline if isinstance(stream, dict)
    ]
    return found


def replaced(document: Document, path: Path_, data: Any, variables: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Return data with variables in place of its references; note each that is not set."""
    if isinstance(data, dict):
        return {key: replaced(document, (*path, key), value, variables) for key, value in data.items()}
    if isinstance(data, list):
        return [replaced(document, (*path, index), value, variables) for index, value in enumerate(data)]
    if not isinstance(data, str):
        return data

    def referred(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name is None:
            return "${"
        if name in variables and is_text(variables[name]):
            return variables[name]
        if name in variables:
            document.mistake(path, f"the variable {name} is not UTF-8")
            return "unset"
        if default is None:
            is_secret = path[-1:] in {("key",), ("hash_key",), ("password",), ("webhook",)} or _is_catalog_secret(path)
            default = "" if is_secret else f", or write ${{{name}:-...}}"
            document.mistake(path, f"the variable {name} is not set", f"export {name}=...{default}")
            return "unset"
        return str(default)

    return _REFERENCE.sub(referred, data)


def _is_catalog_secret(path: Path_) -> bool:
    return path[-2:-1] == ("catalog",) and _SECRET_PROPERTY.search(str(path[-1])) is not None
