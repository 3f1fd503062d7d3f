"""Runs programs as forks of one process that has imported what takes longest to import.

Half of the time of most blocks of our pages is importing Lightning and what it brings. Here a server imports it once,
and commands named `python` and `nasplug`, first on the path of a block, have their program run by a fork of it, with
their own arguments, folder, environment, streams and exit code. Our own packages are imported by each program itself.

    python warm.py SOCKET NAME ...     imports the modules named, serves until it is ended
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

#: What pages import, and takes longest.
MODULES = (
    "pytorch_lightning",
    "torchmetrics",
    "torchvision",
    "timm",
    "sklearn.datasets",
    "scipy.stats",
    "matplotlib.pyplot",
    "pandas",
    "onnx",
)
CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({path!r})
    socket.send_fds(line, [b"."], [0, 1, 2])
    line.sendall(json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode())
    line.shutdown(socket.SHUT_WR)
    code = line.recv(16)
sys.exit(int(code or 70))
"""


@contextmanager
def commands(folder: Path, modules: tuple[str, ...] = MODULES):
    """A folder for the path of blocks, with commands that a server runs while the context lasts."""
    folder.mkdir(parents=True)
    path = folder / "socket"
    for name in ("python", "nasplug"):
        (folder / name).write_text(CLIENT.format(python=sys.executable, path=str(path)))
        (folder / name).chmod(0o755)
    log = folder / "log.txt"
    with log.open("w") as stream:
        server = subprocess.Popen([sys.executable, __file__, path, *modules], stdout=stream, stderr=stream)
    try:
        until = time.monotonic() + 300
        while not path.exists():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, "the server does not listen"
            time.sleep(0.05)
        yield folder
    finally:
        server.terminate()
        server.wait(30)


def _requests(path: str) -> list[str]:
    """Serves; returns in each fork that is to be a program, with its arguments."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    while True:
        line, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            break
        line.close()
        while _ended():
            pass
    _, streams, *_ = socket.recv_fds(line, 1, 3)
    told = b"".join(iter(lambda: line.recv(65536), b""))
    words, folder, variables = json.loads(told)
    program = os.fork()
    if program:
        _, status = os.waitpid(program, 0)
        code = os.waitstatus_to_exitcode(status)
        line.sendall(str(code if code >= 0 else 128 - code).encode())
        os._exit(0)
    line.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    return words


def _ended() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _run(words: list[str]) -> None:
    """Does what the interpreter would with these words."""
    import signal

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    name, rest = Path(words[0]).name, words[1:]
    real = str(Path(sys.executable).with_name("nasplug"))
    if name == "nasplug":
        rest = [real, *rest]
    elif not rest or (rest[0].startswith("-") and rest[0] != "-m"):
        os.execv(sys.executable, [sys.executable, *rest])
    own = sys.path[1:]  # without the folder of this file
    sys.path[:] = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path += [each for each in own if each not in sys.path]
    if rest[0] == "-m":
        sys.argv = rest[1:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = rest
        sys.path.insert(0, str(Path(rest[0]).resolve().parent))
        runpy.run_path(rest[0], run_name="__main__")


if __name__ == "__main__":
    for module in sys.argv[2:]:
        importlib.import_module(module)
    _run(_requests(sys.argv[1]))
