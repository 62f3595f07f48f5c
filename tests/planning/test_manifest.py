"""The manifest: its bytes, and what older versions of the program have written."""

import json

import msgspec
import pytest

from bucket_loader.model.counts import Counts
from bucket_loader.model.rows import LoadedFile
from bucket_loader.planning.manifest import Manifest, Part, PlannedStream, decoded, encoded

STREAM = PlannedStream(
    position=0, name="companies", kind="company", mode="changes", on_unknown="resend",
    counts=Counts(read=12, rejected=1, filtered=2, superseded=3, unchanged=4, removed=5, pending=7), known=8, changed=9,
    parts=(Part("00-companies.parquet", 0, 7, "d"),), mapping="m", shares_ids=True, remembers=True, keyed=False,
    known_ids=10, nameless=11, without_ids=12, remembers_ids=True, cursor='{"int": 7}',
    files=(LoadedFile("a.csv", 13, "sha256:e"),),
)  # fmt: skip
MANIFEST = Manifest(
    version=2, run="r", pipeline="p", created_at="now", as_of="then", interval=("a", "b"), after=3, chunk_records=100,
    chunk_bytes=1024, streams=(STREAM,), sources={"s": "f"}, api="front-legacy",
)  # fmt: skip
SPELT = """{
 "version": 2,
 "run": "r",
 "pipeline": "p",
 "created_at": "now",
 "as_of": "then",
 "interval": [
  "a",
  "b"
 ],
 "after": 3,
 "chunk_records": 100,
 "chunk_bytes": 1024,
 "streams": [
  {
   "position": 0,
   "name": "companies",
   "kind": "company",
   "mode": "changes",
   "on_unknown": "resend",
   "records": 7,
   "read": 12,
   "rejected": 1,
   "filtered": 2,
   "superseded": 3,
   "unchanged": 4,
   "known": 8,
   "changed": 9,
   "parts": [
    {
     "file": "00-companies.parquet",
     "first": 0,
     "records": 7,
     "digest": "d"
    }
   ],
   "mapping": "m",
   "shares_ids": true,
   "remembers": true,
   "keyed": false,
   "removed": 5,
   "known_ids": 10,
   "nameless": 11,
   "without_ids": 12,
   "remembers_ids": true,
   "cursor": "{\\"int\\": 7}",
   "files": [
    {
     "name": "a.csv",
     "bytes": 13,
     "digest": "sha256:e"
    }
   ]
  }
 ],
 "sources": {
  "s": "f"
 },
 "api": "front-legacy"
}"""


def test_a_manifest_is_the_same_bytes_in_every_version():
    """A plan's digest is that of its manifest, so an order of members is a promise."""
    assert encoded(MANIFEST).decode() == SPELT
    assert decoded(SPELT.encode()) == MANIFEST


def test_a_manifest_of_an_older_version_is_read():
    """What it did not know of is 0, or as it was then."""
    found = json.loads(SPELT)
    for name in ("removed", "known_ids", "nameless", "without_ids", "remembers_ids", "cursor", "files", "parts"):
        del found["streams"][0][name]
    found["streams"][0] |= {"file": "00-companies.parquet", "digest": "d"}
    found["version"] = 1
    del found["api"]

    (stream,) = decoded(json.dumps(found).encode()).streams
    assert stream.counts == Counts(read=12, rejected=1, filtered=2, superseded=3, unchanged=4, pending=7)
    assert (stream.known_ids, stream.remembers_ids, stream.cursor, stream.files) == (0, False, None, ())
    assert stream.refused_from == stream.records
    assert stream.parts == STREAM.parts


def broken(change):
    """Return the manifest with something changed in its stream."""
    found = json.loads(SPELT)
    change(found)
    return json.dumps(found).encode()


@pytest.mark.parametrize("data", [
    b"", b"[]", b"{}", b'{"streams": 7}', b'{"streams": [7]}',
    broken(lambda found: found["streams"][0].pop("records")),
    broken(lambda found: found["streams"][0].pop("superseded")),
    broken(lambda found: found["streams"][0].update(read="many")),
    broken(lambda found: found["streams"][0].update(removed=None)),
    broken(lambda found: found.pop("sources")),
])  # fmt: skip
def test_what_is_no_manifest_is_refused(data):
    """A count that is missing is not taken for none."""
    with pytest.raises(msgspec.MsgspecError):
        decoded(data)
