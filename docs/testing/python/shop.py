"""Somebody's shop, which tells Bucket what its customers do, and asks it which features they have. It knows no test."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

TRIES = Retry(total=3, backoff_factor=0.01, status_forcelist=[503], allowed_methods=None)


class Shop:
    """The shop. What customers need not wait for is told in the background."""

    def __init__(self) -> None:
        self._url = os.environ["BUCKET_BASE_URL"]
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {os.environ['BUCKET_SECRET_KEY']}"
        self._session.mount("http://", HTTPAdapter(max_retries=TRIES))
        self._background = ThreadPoolExecutor(1)

    def sign_up(self, user: str, company: str, *, plan: str, roles: list[str]) -> None:
        """Take a new customer."""
        self._tell("user", userId=user, attributes={"plan": plan, "roles": roles})
        self._tell("company", companyId=company, userId=user, attributes={"plan": plan})
        self._tell("event", userId=user, companyId=company, event="signed up")

    def order(self, user: str | None, article: str, amount: float) -> None:
        """Take an order; a guest's is nobody's business."""
        if user is not None:
            self._tell("event", userId=user, event="ordered", attributes={"article": article, "amount": amount})

    def rate(self, user: str, feature: str, score: int) -> bool:
        """Pass on what a customer thinks of a feature; say whether Bucket took it."""
        return self._post("feedback", userId=user, key=feature, score=score).ok

    def greeting(self, company: str) -> str:
        """Greet as the feature `greeting` says, if it is there."""
        feature = self._feature("greeting", company)
        return feature["config"]["payload"]["text"] if feature.get("isEnabled") else "Hello"

    def shows(self, feature: str, company: str) -> bool:
        """Say whether a company sees a feature."""
        return bool(self._feature(feature, company).get("isEnabled"))

    def close(self) -> None:
        """Let what is in the background end."""
        self._background.shutdown()
        self._session.close()

    def _feature(self, key: str, company: str) -> dict[str, Any]:
        asked = {"key": key, "context.company.id": company}
        answer = self._session.get(f"{self._url}/features/evaluated", params=asked, timeout=5)
        found: dict[str, Any] = answer.json()["features"].get(key, {})
        return found

    def _tell(self, kind: str, **record: Any) -> None:
        self._background.submit(self._post, kind, **record)

    def _post(self, kind: str, **record: Any) -> requests.Response:
        return self._session.post(f"{self._url}/{kind}", json=record, timeout=5)
