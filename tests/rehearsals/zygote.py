"""A process that has imported the whole program and forks it, so that a start costs a tenth of the real one.

It reads one JSON command a line from stdin and answers each with one line on stdout:

    {"start": [words], "cwd": ..., "env": {...}, "stdout": ..., "stderr": ..., "arm": [...]}   -> a process id
    {"ended": pid}   -> whether it has ended; it stays a zombie, so that its id is nobody else's until `wait`
    {"wait": pid}    -> its exit code, or minus the signal that ended it

The child is what `python -m bucket_loader` is from the moment that its imports are done.
"""

import ctypes
import importlib
import json
import os
import random
import signal
import sys
import time

IMPORTED = (
    "bucket_loader.cli.commands", "bucket_loader.runs.run", "bucket_loader.config.yaml_file",
    "bucket_loader.runs.inspect", "bucket_loader.runs.audit", "bucket_loader.runs.lifecycle",
    "bucket_loader.runs.senders.joining",
    "bucket_loader.sources.files.csv", "duckdb", "pandas", "pyarrow.csv", "pyarrow.parquet", "requests",
    "rich.console", "rich.table",
)  # fmt: skip


def shorten(lease_s):
    """Let who is silent be given up after so many seconds instead of half a minute, and say oftener that one lives."""
    from bucket_loader.runs.senders import sending
    from bucket_loader.state.ledger import postgres, session_lock

    sending.LEASE_S = session_lock.LEASE_S = lease_s
    postgres._LOOKS_EVERY_S, postgres._ASKS_AFTER_S = lease_s / 5, lease_s / 2


def serve():
    """Do as told until stdin ends; gives the words of the program in a child, and None at the end."""
    for module in IMPORTED:
        importlib.import_module(module)
    if lease := os.environ.get("REHEARSED_LEASE_S"):
        shorten(float(lease))
    pending = b""
    while data := os.read(0, 65_536):
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if "start" in command:
                child = os.fork()
                if child == 0:
                    return become(command)
                answer(child)
            elif "ended" in command:
                answer(os.waitid(os.P_PID, command["ended"], os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
            else:
                answer(os.waitstatus_to_exitcode(os.waitpid(command["wait"], 0)[1]))
    return None


def answer(value):
    """Answer a command."""
    os.write(1, json.dumps(value).encode() + b"\n")


def become(command):
    """Make this process look as the program does when it has just been started; gives its words."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for descriptor, path in ((0, os.devnull), (1, command["stdout"]), (2, command["stderr"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(command["cwd"])
    os.environ.clear()
    os.environ.update(command["env"])
    time.tzset()
    random.seed()
    if command.get("arm"):
        shim, root, log, classes, action, first, last, match, durable = command["arm"]
        arm = ctypes.CDLL(shim).shim_arm
        texts = root.encode(), log.encode()
        arm(*texts, classes, action, ctypes.c_long(first), ctypes.c_long(last), match.encode(), durable.encode())
    return command["start"]


if __name__ == "__main__":
    words = serve()
    if words is not None:
        sys.argv = ["bucket-loader", *words]
        importlib.import_module("bucket_loader.cli.commands").main(words, prog_name="bucket-loader")
