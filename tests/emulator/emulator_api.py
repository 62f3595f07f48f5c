"""A client for the emulator's tests."""

import json
from typing import Any

import requests

from bucket_loader.emulator.http.server import Endpoint

SECRET = "sec_test_0123456789abcdef"  # noqa: S105  # of an emulator
PUBLISHABLE = "pub_test_0123456789abcdef"


class Api:
    """Calls an emulator the way a client would."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.url = endpoint.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {endpoint.secret_key}"

    def post(self, path: str, document: Any) -> requests.Response:
        """POST a document."""
        return self.session.post(self.url + path, json=document, timeout=10)

    def post_bytes(self, path: str, body: bytes, content_type: str = "application/json") -> requests.Response:
        """POST bytes, said to be JSON."""
        return self.session.post(self.url + path, data=body, headers={"Content-Type": content_type}, timeout=10)

    def get(self, path: str) -> requests.Response:
        """GET a path."""
        return self.session.get(self.url + path, timeout=10)

    def put(self, path: str, document: Any) -> requests.Response:
        """PUT a document."""
        return self.session.put(self.url + path, json=document, timeout=10)

    def state(self) -> dict[str, int]:
        """Return the counts."""
        return dict(self.get("/_emulator/state").json())

    def journal(self) -> list[dict[str, Any]]:
        """Return every item accepted."""
        return [json.loads(line) for line in self.get("/_emulator/journal").content.split(b"\n") if line]

    def user(self, user_id: str) -> dict[str, Any]:
        """Return what is known of a user."""
        return dict(self.get(f"/_emulator/users/{user_id}").json())

    def company(self, company_id: str) -> dict[str, Any]:
        """Return what is known of a company."""
        return dict(self.get(f"/_emulator/companies/{company_id}").json())

    def fault(self, *faults: dict[str, Any], seed: int = 1) -> None:
        """Order faults."""
        answer = self.put("/_emulator/faults", {"seed": seed, "faults": list(faults)})
        assert answer.status_code == 200, answer.text

    def reset(self) -> None:
        """Empty the emulator."""
        assert self.session.post(f"{self.url}/_emulator/reset", timeout=10).status_code == 200
