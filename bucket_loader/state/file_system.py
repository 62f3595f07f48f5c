"""Which file systems are shared between machines: a ledger does not lie there.

SQLite keeps what its readers and writers agree on in memory that only processes of one machine share, and locks may
hold on one machine alone there.
"""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bucket_loader.model import StateError

_MOUNTS: Final = Path("/proc/self/mountinfo")
_SHARED: Final = frozenset({
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "fakeowner", "fhgfs", "gfs2", "glusterfs",
    "gpfs", "hgfs", "kafs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2",
    "quobyte", "smb", "smb2", "smb3", "smbfs", "v9fs", "vboxsf", "virtiofs", "vmhgfs", "wekafs",
})  # fmt: skip
# Programs behind FUSE: `fuse.sshfs`, or `fuse` with the program as the source. Those that begin so.
_SHARED_FUSE: Final = (
    "afp", "alluxio", "beegfs", "blobfuse", "ceph", "cifs", "curlftpfs", "davfs", "ftp", "gcsfuse", "gdrive", "gluster",
    "goofys", "google-drive", "grpcfuse", "gvfs", "hdfs", "httpdirfs", "ipfs", "juicefs", "lizardfs", "mfs", "moosefs",
    "mount-s3", "mountpoint-s3", "nfs", "objectivefs", "onedrive", "osxfs", "rclone", "s3", "seaweed", "sftp", "smb",
    "ssh", "vmhgfs", "vmware", "webdav", "weed", "xtreemfs", "yas3fs",
)  # fmt: skip
# `statfs` knows them by numbers, also where there is no list of mounts.
_NUMBERS: Final = {
    0x01021997: "9p", 0x6969: "nfs", 0x517B: "smb", 0xFF534D42: "cifs", 0xFE534D42: "smb2", 0x00C36400: "ceph",
    0x5346414F: "afs", 0x6B414653: "afs", 0x73757245: "coda", 0x0BD00BD0: "lustre", 0x47504653: "gpfs",
    0xAAD7AAEA: "panfs", 0x7461636F: "ocfs2", 0x01161970: "gfs2", 0x564C: "ncpfs", 0x786F4256: "vboxsf",
    0xBACBACBC: "vmhgfs", 0x19830326: "beegfs", 0x20030528: "orangefs",
}  # fmt: skip

ELSEWHERE: Final = (
    "give a folder on a disk of this machine with --state, or keep the ledger on PostgreSQL: --state postgresql://..."
)


def require_local(folder: Path) -> None:
    """Refuse a folder that lies on a file system which several machines share, where that can be seen.

    Raises:
        StateError: it does.
    """
    there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    if (kind := shared_kind(there)) is not None:
        raise StateError(
            f"the state at {folder} lies on {kind}, a file system that several machines may share: nothing there keeps "
            "two runs apart for certain",
            hint="give a folder on a disk of this machine with --state (a state that is there already may be moved, "
            "whole); workers on several machines keep the ledger on PostgreSQL: --state postgresql://...",
        )


def shared_kind(path: Path) -> str | None:
    """Return what the shared file system is called that a path lies on; None where it is not known to be one."""
    kind, source = _mounted(path)
    program = kind.removeprefix("fuse.") if kind.startswith("fuse.") else source.rpartition("/")[2]
    is_fuse = kind == "fuse" or kind.startswith("fuse.")
    if kind in _SHARED or (is_fuse and program.lower().startswith(_SHARED_FUSE)):
        return kind
    return _NUMBERS.get(_number(path))


def _mounted(path: Path) -> tuple[str, str]:
    """Return the type and the source of what is mounted where a path lies; empty where nobody knows."""
    best: tuple[int, str, str] = (-1, "", "")
    for point, kind, source in _mounts():
        depth = len(point.parts)
        if depth >= best[0] and path.is_relative_to(point):  # of two at one place the later one hides the other
            best = depth, kind, source
    return best[1:]


def name_of(path: Path) -> str:
    """Return what to call the file system that a path lies on, in a message."""
    kind, _ = _mounted(path.resolve())
    return f"its file system ({kind})" if kind else "its file system"


def _mounts() -> Iterator[tuple[Path, str, str]]:
    """Return where something is mounted, its type and its source, in the order in which it was."""
    try:
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        before, found, after = line.partition(" - ")
        if found:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split(" ")[4])
            kind, source, *_ = [*after.split(" "), ""]
            yield Path(point), kind, source


def _number(path: Path) -> int:
    """Return the number that `statfs` has for a file system; -1 where it has none."""
    buffer = ctypes.create_string_buffer(512)  # more than any `struct statfs`
    if sys.platform != "linux" or ctypes.CDLL(None).statfs(os.fsencode(path), buffer):
        return -1
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF  # the type comes first, on Linux
