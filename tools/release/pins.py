"""What a stranger relies on besides the archives: the workflows' actions by digest, and the project's addresses."""

import re
import tomllib

from steps import ROOT, Failed, LeftOut

WORKFLOWS = ROOT / ".github" / "workflows"
USES = re.compile(r"^\s*(?:- )?uses:\s*(\S+?)@(\S+)(?:\s+# (\S+))?", re.MULTILINE)
UNSET = "DIGEST-NOT-SET"
DIGEST = re.compile(r"[0-9a-f]{40}")


def pins(_release):
    """Require each action of the workflows to be named by a digest, with its version beside it."""
    used = [
        (file.name, *found)
        for file in sorted(WORKFLOWS.glob("*.yml"))
        for found in USES.findall(file.read_text("utf-8"))
    ]
    if not used:
        raise Failed(f"no workflow in {WORKFLOWS} uses an action")
    wrong = [
        f"{file}: {name}@{pin}"
        for file, name, pin, tag in used
        if not tag or not (pin == UNSET or DIGEST.fullmatch(pin))
    ]
    if wrong:
        raise Failed(f"not by digest, with the version behind it: {', '.join(wrong)}")
    unset = sorted({f"{name} {tag}" for _, name, pin, tag in used if pin == UNSET})
    if unset:
        raise LeftOut(f"the digests of {', '.join(unset)} are not set yet: docs/releasing.md says how")
    return f"{len(used)} uses of actions, each by its digest"


def urls(_release):
    """Require the addresses that an index shows beside the package."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"].get("urls", {})
    wanted = {"Source", "Changelog", "Issues"}
    if not found:
        raise LeftOut(
            f"[project.urls] is not set yet, since the project has no public address: {', '.join(sorted(wanted))}"
        )
    if lacking := sorted(wanted - set(found)):
        raise Failed(f"[project.urls] lacks {', '.join(lacking)}")
    return ", ".join(found.values())
