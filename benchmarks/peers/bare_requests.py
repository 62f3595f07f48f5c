"""The ceiling: ready-made bodies, posted through prepared `requests` calls by as many threads as are best."""

import os
import queue
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from shared import HEADERS, URL, begin

THREADS = 1  # more only wait for each other: Python runs one at a time


def send(bodies: "queue.SimpleQueue[bytes | None]") -> None:
    """Post what is in the queue, over one connection."""
    session = requests.Session()
    session.trust_env = False
    prepared = session.prepare_request(requests.Request("POST", URL, headers=HEADERS, data=b"x"))
    while body := bodies.get():
        prepared.body = body
        prepared.headers["Content-Length"] = str(len(body))
        answer = session.send(prepared, timeout=30, allow_redirects=False)
        if answer.status_code != requests.codes.ok or not answer.json()["success"]:
            raise RuntimeError(answer.text)


def main() -> None:
    """Post every body."""
    bodies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    with Path(os.environ["BENCHMARK_FILE"]).open("rb") as file:
        for line in file:
            bodies.put(line)
    for _ in range(THREADS):
        bodies.put(None)
    begin()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(send, [bodies] * THREADS))


if __name__ == "__main__":
    main()
