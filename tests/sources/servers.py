"""Database servers of the tests' own: on a free port, in a folder of their own, one for each worker, ended with it."""

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from urllib.parse import quote

import tiers

PASSWORD = "p@ss/w:o#r%d?1"  # noqa: S105  # of a server that lives for one test; every sign that has a meaning in a URL


_DATA: list[str] = []  # where PostgreSQL keeps its own, once it runs


def free_port():
    """Find a port that nobody listens on."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def unprivileged():
    """Return who the server runs as: PostgreSQL will not be root's."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@cache
def postgres():
    """Start PostgreSQL; gives its port. The user is `postgres`, the password `PASSWORD`."""
    tiers.expect("postgres")
    base, port, who = Path(tempfile.mkdtemp(prefix="pg-")), free_port(), unprivileged()
    (base / "password").write_text(PASSWORD)
    if who:
        os.chown(base, who["user"], who["group"])
        os.chown(base / "password", who["user"], who["group"])

    def run(*words):
        subprocess.run(words, check=True, cwd=base, stdout=subprocess.DEVNULL, timeout=60, **who)

    data = str(base / "data")
    run("initdb", "-D", data, "-U", "postgres", "--no-sync", "-A", "scram-sha-256", f"--pwfile={base}/password",
        "--locale=C", "-E", "UTF8")  # fmt: skip
    settings = f"-p {port} -k {base} -c listen_addresses=127.0.0.1"
    run("pg_ctl", "-D", data, "-o", settings, "-l", str(base / "log"), "-w", "start")
    _DATA.append(data)

    @atexit.register
    def stop():
        subprocess.run(["pg_ctl", "-D", data, "-m", "immediate", "stop"], check=False, cwd=base,
                       stdout=subprocess.DEVNULL, **who)  # fmt: skip
        shutil.rmtree(base, ignore_errors=True)

    return port


def postgres_url(database="postgres", password=PASSWORD, options=""):
    """Return the server's URL."""
    return f"postgresql://postgres:{quote(password, safe='')}@127.0.0.1:{postgres()}/{database}{options}"


def in_postgres(*statements):
    """Run statements, each on its own."""
    from adbc_driver_postgresql import dbapi

    with closing(dbapi.connect(postgres_url(), autocommit=True)) as connection, closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)


@cache
def mariadb():
    """Start MariaDB; gives its port. The user is `loader`, the password `PASSWORD`."""
    tiers.expect("mariadb")
    base, port = Path(tempfile.mkdtemp(prefix="my-")), free_port()
    user = f"--user={pwd.getpwuid(os.getuid()).pw_name}"
    data = f"--datadir={base / 'data'}"
    install = [
        "mariadb-install-db",
        "--no-defaults",
        user,
        data,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    subprocess.run(install, check=True, cwd=base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    with (base / "log").open("wb") as log:
        server = subprocess.Popen(
            ["mariadbd", "--no-defaults", user, data, f"--socket={base}/socket", f"--port={port}",
             "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"],
            cwd=base, stdout=log, stderr=log,
        )  # fmt: skip

    @atexit.register
    def stop():
        server.terminate()
        server.wait(30)
        shutil.rmtree(base, ignore_errors=True)

    _wait_for(port)
    import pymysql

    with closing(pymysql.connect(host="127.0.0.1", port=port, user="root")) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE USER loader@'%%' IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute("GRANT ALL ON *.* TO loader@'%'")
        cursor.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
    return port


def _wait_for(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the server does not listen")


def mariadb_url(database="shop", password=PASSWORD, options=""):
    """Return the server's URL."""
    return f"mysql://loader:{quote(password, safe='')}@127.0.0.1:{mariadb()}/{database}{options}"


def in_mariadb(*statements):
    """Run statements, each on its own."""
    import pymysql

    where = {"host": "127.0.0.1", "port": mariadb(), "user": "loader", "password": PASSWORD, "database": "shop"}
    with closing(pymysql.connect(autocommit=True, **where)) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)


def fill_postgres(table, rows):
    """Make a table of Arrow rows."""
    from adbc_driver_postgresql import dbapi

    with closing(dbapi.connect(postgres_url(), autocommit=True)) as connection, closing(connection.cursor()) as cursor:
        cursor.adbc_ingest(table, rows, mode="replace")


def fill_mariadb(table, rows):
    """Make a table of Arrow texts."""
    import pymysql

    where = {"host": "127.0.0.1", "port": mariadb(), "user": "loader", "password": PASSWORD, "database": "shop"}
    columns = ", ".join(f"{name} text" for name in rows.column_names)
    with closing(pymysql.connect(**where)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE OR REPLACE TABLE {table} (n int auto_increment primary key, {columns})")
        places = ", ".join(["%s"] * rows.num_columns)
        names = ", ".join(rows.column_names)
        cursor.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({places})", list(zip(*rows.to_pydict().values(), strict=True))
        )
        cursor.execute(f"CREATE OR REPLACE VIEW {table}_rows AS SELECT {names} FROM {table}")
        connection.commit()


def restart_postgres():
    """End PostgreSQL as a crash does, and start it again: at the same place, with what it had committed."""
    postgres()
    data = next(iter(_DATA))
    subprocess.run(["pg_ctl", "-D", data, "-m", "immediate", "-l", f"{data}/../log", "-w", "restart"],
                   check=True, cwd=data, stdout=subprocess.DEVNULL, timeout=60, **unprivileged())  # fmt: skip
