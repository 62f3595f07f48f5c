"""A PostgreSQL server for one run, in a temporary folder, which only its socket leads to."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROGRAMS = ("initdb", "pg_ctl")


class NoServerError(Exception):
    """PostgreSQL cannot run here."""


@contextmanager
def postgres() -> Iterator[str]:
    """Serve PostgreSQL; gives its URL.

    Raises:
        NoServerError: its programs are not installed, or it does not start.
    """
    debian = map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))  # where no user's PATH leads
    path = os.pathsep.join([os.environ["PATH"], *debian])
    programs = [shutil.which(program, path=path) for program in PROGRAMS]
    initdb, pg_ctl = (program or "" for program in programs)
    if None in programs:
        raise NoServerError("PostgreSQL's initdb and pg_ctl are not installed here")
    with TemporaryDirectory(prefix="benchmark-pg-") as folder:
        data = f"{folder}/data"
        _run(folder, initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        settings = f"-k {folder} -c listen_addresses="
        _run(folder, pg_ctl, "-D", data, "-o", settings, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            _run(folder, pg_ctl, "-D", data, "-m", "immediate", "stop")


def _run(folder: str, *words: str) -> None:
    who: dict[str, Any] = {}
    if os.getuid() == 0:  # PostgreSQL will not be root's
        names = {entry.pw_name: entry for entry in pwd.getpwall()}
        user = names.get("postgres") or names["nobody"]
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    # Not captured: the server that is started keeps what it is given open.
    done = subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, check=False, **who)  # noqa: S603
    if done.returncode:
        raise NoServerError(f"{Path(words[0]).name} ended with {done.returncode}")
