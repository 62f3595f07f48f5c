"""The two keys of an environment."""

import secrets
from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """The secret key and the publishable key."""

    secret: str
    publishable: str

    @classmethod
    def given_or_random(cls, secret: str | None, publishable: str | None) -> "Keys":
        """Keep the keys that are given and make up the others, readable and longer than 22 characters (NODE)."""
        return cls(
            secret=secret or f"sec_local_{secrets.token_hex(12)}",
            publishable=publishable or f"pub_local_{secrets.token_hex(12)}",
        )
