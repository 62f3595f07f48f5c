"""The two keys of an environment."""

import hashlib
import secrets
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bucket_loader.model import StateError, folder_of_user, make_folder, written_whole

_MACHINE: Final = Path("/etc/machine-id")


@dataclass(frozen=True)
class Keys:
    """The secret key and the publishable key; those that are made up are longer than 22 characters (NODE)."""

    secret: str
    publishable: str

    @classmethod
    def random(cls) -> "Keys":
        """Make up keys that no other emulator has."""
        return cls(f"sec_local_{secrets.token_hex(12)}", f"pub_local_{secrets.token_hex(12)}")

    @classmethod
    def of_port(cls, port: int) -> "Keys":
        """Make up the keys of an emulator that is told its port: the same after each start on this machine.

        Something of the machine is in them, so that no page of the web knows them.
        """
        hidden = hashlib.sha256(f"{_machine()} {port}".encode()).hexdigest()
        return cls(f"sec_local_{hidden[:24]}", f"pub_local_{hidden[24:48]}")

    @classmethod
    def kept_in(cls, folder: Path) -> "Keys":
        """Return the keys of an emulator whose data are in a folder; made up by its first start.

        Raises:
            StateError: they cannot be kept there, or read.
        """
        file = folder / "keys.json"
        try:
            if file.exists():
                return msgspec.json.decode(file.read_bytes(), type=cls)
            made = cls.random()
            make_folder(folder)
            with written_whole(file) as kept:
                kept.write(msgspec.json.encode(made))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(f"{file} cannot be opened: {error}", hint="give another --data directory") from error
        return made

    def with_given(self, secret: str | None, publishable: str | None) -> "Keys":
        """Return these, with those that are given in their place."""
        return Keys(secret or self.secret, publishable or self.publishable)


def _machine() -> str:
    """Return what only programs of this machine know of it."""
    with suppress(OSError, UnicodeDecodeError):
        if text := _MACHINE.read_text("utf-8").strip():
            return text
    return _kept() or f"{uuid.getnode():x}"  # which may be another after each start


def _kept() -> str | None:
    """Return a random part that the user's own folder keeps, made by the first; None where there is no such folder."""
    with suppress(OSError, UnicodeDecodeError):
        if (folder := folder_of_user()) is None:
            return None
        file = folder / "emulator.part"
        if not file.exists():
            make_folder(folder)
            with written_whole(file) as kept:
                kept.write(secrets.token_hex(16).encode())
        return file.read_text("utf-8")
    return None
