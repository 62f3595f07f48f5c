"""Stores of the tests' own: an S3, a Google Cloud Storage and a web server on loopback, each on a free port."""

import contextlib
import http.client
import http.server
import logging
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import pytest
from pyarrow import fs

from bucket_loader.config.sources import Storage

BUCKET = "exports"


@dataclass
class Store:
    """A running store and a way to put files into its bucket."""

    endpoint: str
    scheme: str
    files: fs.FileSystem

    @property
    def storage(self):
        """What a pipeline file says of it."""
        return Storage(endpoint=self.endpoint, anonymous=self.scheme == "gs", region=self._region)

    @property
    def _region(self):
        return "us-east-1" if self.scheme == "s3" else None

    def put(self, key, data):
        """Write an object."""
        body = data.encode() if isinstance(data, str) else data
        if self.scheme == "s3" and self._put_at_once(key, body):
            return
        with self.files.open_output_stream(f"{BUCKET}/{key}", compression=None) as stream:
            stream.write(body)

    def _put_at_once(self, key, body):
        """Write an object in one request, where pyarrow makes three; moto takes none but the first for a key."""
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc)
        with contextlib.closing(connection):
            connection.request("PUT", f"/{BUCKET}/{quote(key)}", body)
            return connection.getresponse().status == 200

    def url(self, key):
        """Spell an object's path."""
        return f"{self.scheme}://{BUCKET}/{key}"


@contextlib.contextmanager
def s3(monkeypatch):
    """Run moto's S3 with an empty bucket; credentials are in the environment, as they are for users."""
    from moto.server import ThreadedMotoServer

    for name, value in {
        "AWS_ACCESS_KEY_ID": "key-of-the-tests",
        "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        files = fs.S3FileSystem(endpoint_override=endpoint, region="us-east-1", allow_bucket_creation=True)
        files.create_dir(BUCKET)
        yield Store(endpoint, "s3", files)
    finally:
        server.stop()


@contextlib.contextmanager
def google():
    """Run an emulator of Google Cloud Storage; in a process of its own, since pyarrow's reader keeps Python waiting."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    words = [
        "start",
        "--host=127.0.0.1",
        f"--port={address.partition(':')[2]}",
        "--in-memory",
        f"--default-bucket={BUCKET}",
    ]
    command = [sys.executable, "-m", "gcp_storage_emulator", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(address)
            files = fs.GcsFileSystem(anonymous=True, scheme="http", endpoint_override=address)
            yield Store(f"http://{address}", "gs", files)
        finally:
            process.terminate()


def _wait_for(address):
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail("the emulator does not listen")


@dataclass
class Web:
    """A web server's pages, and what it does besides giving them.

    Attributes:
        url: where it listens.
        pages: by path: the status, the headers, the body.
        asked: the paths asked for.
    """

    url: str
    pages: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def page(self, path, body=b"", *, status=200, etag='"1"', **headers):
        """Serve a page from now on; `content_length=None` leaves the length out."""
        words = {"Content-Length": str(len(body)), "ETag": etag}
        words |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        self.pages[path] = (status, {name: value for name, value in words.items() if value is not None}, body)


@contextlib.contextmanager
def web():
    """Run a web server that knows no pages yet."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            found.asked.append(self.path)
            status, headers, body = found.pages.get(self.path, (404, {"Content-Length": "0"}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(b"" if self.command == "HEAD" else body)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
