"""How an emulator says which one it is, and a loader which one it means: a header that the real API does not know.

An emulator without `--data` forgets everything when it ends. What was remembered of it means nothing to the next one,
although that has the same address.
"""

import ipaddress
import re
from typing import Final

EMULATOR_HEADER: Final = "bucket-emulator"
ANOTHER_EMULATOR: Final = 412  # the status of what was meant for another emulator; nothing of it is applied
NO_EMULATOR: Final = "0" * 16  # said to what is no emulator: one that got into its place refuses it
_NAME: Final = re.compile(r"[0-9a-f]{16}")


def read_emulator(name: str | None) -> str | None:
    """Return the name of an emulator; None for what is none."""
    return name if name is not None and _NAME.fullmatch(name) else None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, by its name or address alone; no other's word is asked for."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
