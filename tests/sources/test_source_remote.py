"""Files in a store and over https: found, read, known again, and refused with the right code."""

import contextlib
import datetime as dt
import gc
import json
import os
import pickle
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from source_helpers import Read
from stores import BUCKET, google, s3, web

from bucket_loader.config.sources import ArrowSource, CsvSource, JsonLinesSource, ParquetSource, Storage
from bucket_loader.model.errors import SourceError, SourceUnavailableError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.extent import extent_of
from bucket_loader.sources.registry import open_source
from bucket_loader.sources.stores.remote import RemoteFile, place_of


@pytest.fixture(scope="module")
def store():
    """An S3 for all tests of this file; each uses keys of its own."""
    with pytest.MonkeyPatch.context() as patch, s3(patch) as running:
        yield running


@pytest.fixture
def server():
    """A web server."""
    with web() as running:
        yield running


KINDS = {"csv": CsvSource, "parquet": ParquetSource, "jsonl": JsonLinesSource, "arrow": ArrowSource}


def source(store, key, kind="csv", storage=None, **context):
    """Return the source of a path in the store."""
    spec = KINDS[kind](type=kind, path=store.url(key), storage=storage or store.storage)
    return open_source(spec, SourceContext(base=None, **context))


def encoded(kind, rows):
    """Write rows in a format."""
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows)
    if kind == "parquet":
        pq.write_table(table, sink)
    elif kind == "arrow":
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    elif kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows)
    else:
        names = list(rows[0])
        return "\n".join([",".join(names), *(",".join(row.values()) for row in rows), ""])
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("kind", KINDS)
def test_files_folders_and_globs(store, kind):
    """Every format is read from one object, a partitioned prefix and a glob; names are the objects' whole paths."""
    for day in ("2026-01-01", "2026-01-02"):
        store.put(f"{kind}/day={day}/part.{kind}", encoded(kind, [{"id": "00123", "on": day}]))
    store.put(f"{kind}/_SUCCESS", "")
    store.put(f"{kind}/.hidden/x", "x")
    whole = [{"id": "00123", "on": day, "day": day} for day in ("2026-01-01", "2026-01-02")]
    elsewhere = pickle.loads(pickle.dumps(source(store, kind, kind).read().sliced))  # noqa: S301  # as workers have it

    assert whole == Read(source(store, kind, kind)).rows
    assert whole == [row for batch in elsewhere.read(elsewhere.items) for row in batch.data.to_pylist()]
    assert whole == Read(source(store, f"{kind}/", kind)).rows
    assert whole == Read(source(store, f"{kind}/*/*.{kind}", kind)).rows
    assert whole == Read(source(store, f"{kind}/**/part.*", kind)).rows
    assert whole[1:] == Read(source(store, f"{kind}/day=*[2-9]/part.{kind}", kind)).rows
    one = Read(source(store, f"{kind}/day=2026-01-01/part.{kind}", kind))
    assert one.rows == [{"id": "00123", "on": "2026-01-01"}]
    assert [f"s3://{BUCKET}/{kind}/day=2026-01-01/part.{kind}"] == [batch.source for batch in one.batches]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("path", ["{kind}-sizes/one", "{kind}-sizes/*", "{kind}-sizes", "{kind}-s*/**"])
def test_the_sizes_of_objects_are_known_from_the_list_of_them(store, kind, path):
    """How much a source holds is told before it is read: the sizes are listed, and a look counts the rows."""
    rows = [{"id": str(number), "note": "the same"} for number in range(3_000)]
    names = ["one", "two", "three"]
    for name in names:
        store.put(f"{kind}-sizes/{name}", encoded(kind, rows))
    path = path.format(kind=kind)
    count = 1 if path.endswith("one") else len(names)
    spec = KINDS[kind](type=kind, path=store.url(path), storage=store.storage)
    listed, looked = (extent_of(spec, SourceContext(base=None), looks=looks) for looks in (False, True))

    assert listed.packed_bytes == count * len(encoded(kind, rows))
    assert looked.rows == pytest.approx(count * len(rows), rel=0.02)


def test_interval_in_a_path(store):
    """A remote path takes the interval as a local one does."""
    store.put("hourly/2026-03-01.csv", "id\n1\n")
    start = {"interval_start": dt.datetime(2026, 3, 1, tzinfo=dt.UTC)}

    assert Read(source(store, "hourly/{interval_start:%Y-%m-%d}.csv", parameters=start)).rows == [{"id": "1"}]


def test_compressed_objects(store):
    """An object is unpacked on its way; one cut short is refused."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "gzip") as stream:
        stream.write(b"id\n" + b"".join(b"%d\n" % number for number in range(300_000)))
    data = sink.getvalue().to_pybytes()
    store.put("packed/a.csv.gz", data)
    store.put("packed/cut.csv.gz", data[:-9])

    assert len(Read(source(store, "packed/a.csv.gz")).rows) == 300_000
    with pytest.raises(SourceError, match="damaged or cut short"):
        Read(source(store, "packed/cut.csv.gz"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_replaced_while_it_is_read(store, kind):
    """The fingerprint sees another object of the same size and name, and one more or less below a prefix."""
    store.put(f"change/{kind}/a", encoded(kind, [{"id": "00001"}]))
    store.put(f"change/{kind}/b", encoded(kind, [{"id": "00002"}]))
    found = source(store, f"change/{kind}", kind)
    seen = [found.fingerprint()]

    Read(found)
    assert seen == [found.fingerprint()]
    store.put(f"change/{kind}/b", encoded(kind, [{"id": "00009"}]))
    seen.append(found.fingerprint())
    store.put(f"change/{kind}/c", encoded(kind, [{"id": "00003"}]))
    seen.append(found.fingerprint())
    store.files.delete_file(f"{BUCKET}/change/{kind}/c")
    store.files.delete_file(f"{BUCKET}/change/{kind}/b")
    seen.append(found.fingerprint())

    assert len(set(seen)) == 4


@pytest.mark.parametrize("key", ["none.csv", "none/*.csv", "**/none.csv"])
def test_missing_objects(store, key):
    """A key or pattern that means nothing is refused with its name."""
    with pytest.raises(SourceError, match="no file") as refused:
        source(store, key).read()

    assert (refused.value.exit_code, store.url(key) in refused.value.message) == (2, True)


def test_missing_buckets(store):
    """A bucket that does not exist is refused, not waited for."""
    for path in ("s3://nowhere/*.csv", "s3://nowhere", "s3://nowhere/a.csv"):
        spec = CsvSource(type="csv", path=path, storage=store.storage)
        with pytest.raises(SourceError) as refused:
            open_source(spec, SourceContext(base=None)).fingerprint()
        assert refused.value.exit_code == 2


def test_an_unreachable_store():
    """A store that does not answer is for later: exit 75; no message holds a credential."""
    storage = Storage(endpoint="http://127.0.0.1:9", region="us-east-1", anonymous=True)
    spec = CsvSource(type="csv", path="s3://bucket/a.csv", storage=storage)

    with pytest.raises(SourceUnavailableError, match=r"s3://bucket/a\.csv") as refused:
        open_source(spec, SourceContext(base=None)).fingerprint()

    assert refused.value.exit_code == 75


def test_azure_needs_an_account(monkeypatch):
    """A container needs its account, from the path, the file or the environment."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)

    with pytest.raises(SourceError, match="the name of its account") as refused:
        open_source(CsvSource(type="csv", path="az://box/a.csv"), SourceContext(base=None)).read()

    assert "abfss://" in refused.value.hint
    assert place_of("abfss://box@mine.dfs.core.windows.net/a/b.csv", Storage()).storage.account == "mine"


def test_no_key_of_a_store_is_in_what_travels(monkeypatch):
    """A file that other processes are to read is told them without the opened store, which holds the account's key."""
    monkeypatch.setenv("AZURE_STORAGE_KEY", key := "c2l4dGVlbiBieXRlcyBvZiBhIGtleQ==")
    place = place_of("az://box/a.csv", Storage(account="acme"))
    file = RemoteFile(place, place.key)
    assert place.system is not None

    assert key.encode() not in (pickled := pickle.dumps(file))
    assert pickle.loads(pickled) == file  # noqa: S301  # made above


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"path": "ftp://host/a.csv"}, "ftp:// cannot be read"),
        ({"path": "s3://key:s3cret@bucket/a.csv"}, "must not hold a user or a password"),
        ({"path": "https://user:s3cret@host/a.csv"}, "must not hold a user or a password"),
        ({"path": "s3:///a.csv"}, "names no bucket"),
        ({"path": "http://host/a.csv"}, "must be https"),
        ({"path": "https://169.254.169.254/a.csv"}, "metadata address"),
        ({"path": "a.csv", "storage": {"region": "x"}}, "`storage:` is for"),
        ({"path": "s3://b/a.csv", "storage": {"endpoint": "https://key:s3cret@host"}}, "no password"),
        ({"path": "s3://b/a.csv", "storage": {"endpoint": "minio:9000"}}, "is not a URL"),
        ({"path": "s3://b/a.csv", "storage": {"secret": "s3cret"}}, "Extra inputs"),
    ],
)
def test_paths_that_are_refused(words, message):
    """A path that no store has, or that holds a credential, is refused with the pipeline file, and not repeated."""
    with pytest.raises(ValidationError) as refused:
        CsvSource(type="csv", **words)

    assert message in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_denied(server, monkeypatch):
    """A store that refuses the credentials is exit 2 with where they come from, and does not show them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASECRET")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "verysecret")
    server.pages = _Everything()
    storage = Storage(endpoint=server.url, region="us-east-1")
    for path in ("s3://bucket/a.csv", "s3://bucket/*.csv"):
        with pytest.raises(SourceError, match="the store refuses") as refused:
            open_source(CsvSource(type="csv", path=path, storage=storage), SourceContext(base=None)).read()
        assert refused.value.exit_code == 2
        assert "AWS_ACCESS_KEY_ID" in refused.value.hint
        assert "AKIASECRET" not in str(refused.value)
        assert "verysecret" not in str(refused.value)


class _Everything(dict):
    """Pages that all say no."""

    def get(self, _path, _default=None):
        """Refuse."""
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        return 403, {"Content-Length": str(len(body)), "Content-Type": "application/xml"}, body


@pytest.mark.long
def test_many_files_in_constant_memory(store, tmp_path):
    """A prefix of 200 files takes no more memory than one; `BUCKET_LOADER_S3_ROWS` sets the rows of each (2,000)."""
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is measured as Linux tells it")
    rows = int(os.environ.get("BUCKET_LOADER_S3_ROWS", "2000"))
    sink = pa.BufferOutputStream()
    columns = {f"c{index}": [f"{index}-{row}" for row in range(rows)] for index in range(8)}
    pq.write_table(pa.table(columns), sink)
    for number in range(200):
        store.put(f"many/day={number:03}/part.parquet", sink.getvalue().to_pybytes())

    one, all_ = peaks_of(store, ["many/day=000", "many"])

    assert (one["rows"], all_["rows"]) == (rows, 200 * rows)
    assert all_["megabytes"] - one["megabytes"] < 40


def peaks_of(store, keys):
    """Read paths one after the other in a process of its own; give the rows and its peak memory after each."""
    script = f"""
        import json
        from pathlib import Path
        from bucket_loader.config import ParquetSource, Storage
        from bucket_loader.sources import open_source
        from bucket_loader.sources.base import SourceContext
        storage = Storage(endpoint={store.endpoint!r}, region="us-east-1")
        for path in {[store.url(key) for key in keys]!r}:
            source = open_source(ParquetSource(type="parquet", path=path, storage=storage), SourceContext(Path()))
            before = source.fingerprint()
            rows = sum(batch.data.num_rows for batch in source.read().batches)
            assert before == source.fingerprint()
            # Not `ru_maxrss`, which begins with what the process had that started this one.
            (peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
            print(json.dumps({{"rows": rows, "megabytes": int(peak) / 1024}}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_google(tmp_path):
    """Google's store: folders, globs, identity, and what is missing, as near as an emulator shows."""
    with google() as store:
        for day in ("1", "2"):
            store.put(f"a/day={day}/x.csv", f"id\n0012{day}\n")
        store.put("a/all.parquet", encoded("parquet", [{"id": "00123"}]))
        found = source(store, "a/**/*.csv")
        before = found.fingerprint()

        assert Read(found).rows == [{"id": "00121", "day": "1"}, {"id": "00122", "day": "2"}]
        assert Read(source(store, "a/all.parquet", "parquet")).rows == [{"id": "00123"}]
        assert before == found.fingerprint()
        store.put("a/day=2/x.csv", "id\n00129\n")
        assert before != found.fingerprint()
        for path in (store.url("none.csv"), store.url("none/*.csv"), "gs://nowhere/x.csv"):
            with pytest.raises(SourceError) as refused:
                open_source(CsvSource(type="csv", path=path, storage=store.storage), SourceContext(tmp_path)).read()
            assert refused.value.exit_code == 2


# --- https ---------------------------------------------------------------------------------------------------------


def over_http(server, path, kind="csv"):
    """Return the source of a page."""
    return open_source(KINDS[kind](type=kind, path=server.url + path), SourceContext(base=None))


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_read(server, kind):
    """Every format is read over http; it is fetched once, and the query of a signed address is shown nowhere."""
    data = encoded(kind, [{"id": "00123"}])
    server.page(f"/x.{kind}?signature=s3cret", data if isinstance(data, bytes) else data.encode())
    found = over_http(server, f"/x.{kind}?signature=s3cret", kind)

    before = found.fingerprint()
    read = Read(found)

    assert read.rows == [{"id": "00123"}]
    assert [f"{server.url}/x.{kind}"] == [batch.source for batch in read.batches]
    assert before == found.fingerprint()
    assert found.read().sliced is None  # what was fetched is here, and a signed address does not travel


def test_a_page_that_changes(server):
    """A page with another tag, or without tags other bytes, is another; one without is known by its bytes."""
    server.page("/a.csv", b"id\n1\n")
    server.page("/b.csv", b"id\n1\n", etag=None)
    one, other = over_http(server, "/a.csv"), over_http(server, "/b.csv")
    before = one.fingerprint(), other.fingerprint()

    Read(one)
    assert before == (one.fingerprint(), other.fingerprint())
    server.page("/a.csv", b"id\n1\n", etag='"2"')
    server.page("/b.csv", b"id\n2\n", etag=None)

    assert one.fingerprint() != before[0]
    assert other.fingerprint() != before[1]
    gc.collect()


@pytest.mark.parametrize(
    ("page", "code", "what"),
    [
        ({"status": 404}, 2, "answers 404"),
        ({"status": 403}, 2, "answers 403"),
        ({"status": 503}, 75, "answers 503"),
        ({"status": 429}, 75, "answers 429"),
        ({"body": b"id\n1\n", "content_length": "9"}, 75, "cut short"),
        ({"body": b"id\n1\n", "content_length": None}, 2, "without its length"),
        ({"status": 302, "location": "http://files.example/x.csv"}, 2, "answers 302"),
        ({"body": b"", "transfer_encoding": "chunked", "content_length": None}, 75, "cut short"),
    ],
)
def test_pages_that_cannot_be_read(server, page, code, what):
    """Refused or for later, each with what the server did; a page cut short is never taken for a whole one."""
    server.page("/x.csv?token=s3cret", **page)

    with pytest.raises(SourceError, match=what) as refused:
        over_http(server, "/x.csv?token=s3cret").read()

    assert (refused.value.exit_code, "s3cret" in str(refused.value)) == (code, False)


def test_a_proxy_that_asks_for_a_password_is_not_tried_again(monkeypatch):
    """A 407 is a mistake in the settings, and the message says which."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse():
            with contextlib.suppress(OSError):  # shut down: the test is over
                while True:
                    with proxy.accept()[0] as connection:
                        connection.recv(65536)
                        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(SourceError, match="asks for a user and a password") as raised:
            over_http(SimpleNamespace(url="https://bucket.example"), "/accounts.csv").read()
        proxy.shutdown(socket.SHUT_RDWR)
        thread.join()

    assert (raised.value.exit_code, "https_proxy" in raised.value.hint) == (2, True)


def test_a_redirect_is_followed(server):
    """A redirect leads to the file; the name stays the one that was written."""
    server.page("/new.csv", b"id\n1\n")
    server.page("/old.csv", status=302, location="/new.csv")

    read = Read(over_http(server, "/old.csv"))

    assert ([{"id": "1"}], f"{server.url}/old.csv") == (read.rows, read.batches[0].source)


def test_nobody_listens():
    """A server that is not there is for later."""
    with pytest.raises(SourceUnavailableError, match="cannot be reached"):
        open_source(CsvSource(type="csv", path="http://127.0.0.1:9/x.csv"), SourceContext(base=None)).read()
