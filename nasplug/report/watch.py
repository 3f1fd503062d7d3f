"""The report of a running search, served on this machine: the same page, told of every change of its study file."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import NasplugError, SpecError

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: Address of this machine that no other machine can reach.
LOOPBACK = "127.0.0.1"
#: Names by which a browser on this machine may ask; any other name is a page that reaches for the loopback address.
_NAMES = (LOOPBACK, "localhost")
#: Seconds between looks at the files, and least seconds between two announcements.
LOOK, LEAST = 0.5, 2.0
#: Announcements leave the browser at least this many times as long as the page took to make.
_PATIENCE = 4.0
_HEARTBEAT = 15.0  # seconds
_MOST_LISTENERS = 32


class Watched:
    """Study files and their page.

    Args:
        paths: Paths of the study files; they need not exist yet.
        load: Function that opens a study file for reading.
    """

    def __init__(self, paths: Sequence[Path], load: Callable[[Path], Study]) -> None:
        self.paths, self._load = list(paths), load
        self._changed = threading.Condition()
        self._making = threading.Lock()
        self._page: tuple[str, str] | None = None
        self._announced, self._at, self._took = self.revision(), time.monotonic(), 0.0
        self._ended = threading.Event()

    def revision(self) -> str:
        """Returns a name for the present state of the files, from their sizes and times."""
        parts = []
        for path in self.paths:
            for file in (path, Path(f"{path}-wal")):
                try:
                    found = file.stat()
                    # Readers make an empty log, which says nothing.
                    parts.append(f"{found.st_size} {found.st_mtime_ns}" if found.st_size else "-")
                except OSError:
                    parts.append("-")
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]

    def page(self) -> str:
        """Returns the page of the present state, which is made once."""
        with self._making:
            revision = self.revision()
            if self._page is None or self._page[0] != revision:
                started = time.monotonic()
                self._page = (revision, self._made(revision))
                self._took = time.monotonic() - started
            return self._page[1]

    def _made(self, revision: str) -> str:
        from nasplug.report.page import render

        studies, notices = [], []
        for path in self.paths:
            if not path.exists():
                notices.append(f"Waiting for {path}, which is not there yet. The page follows once a search writes it.")
                continue
            try:
                studies.append(self._load(path))
            except NasplugError as error:
                notices.append(f"{path} cannot be read at present: {error.what}. {error.why or ''}".strip())
        return render(studies, notice=" ".join(notices), revision=revision)

    def follow(self) -> None:
        """Looks at the files until `end` is called, and wakes those who wait for news."""
        while not self._ended.wait(LOOK):
            revision = self.revision()
            if revision != self._announced and time.monotonic() - self._at >= max(LEAST, _PATIENCE * self._took):
                with self._changed:
                    self._announced, self._at = revision, time.monotonic()
                    self._changed.notify_all()

    def news(self, known: str, patience: float) -> str:
        """Waits for a state that is not `known`, and returns the one that was announced last.

        Args:
            known: Name of the state that the listener has.
            patience: Seconds to wait at most.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._announced != known or self._ended.is_set(), patience)
            return self._announced

    @property
    def ended(self) -> bool:
        """Whether `end` was called."""
        return self._ended.is_set()

    def end(self) -> None:
        """Lets everybody go who waits."""
        self._ended.set()
        with self._changed:
            self._changed.notify_all()


class Server(ThreadingHTTPServer):
    """Serves one page and its news on the loopback address, and nothing else; writes nothing.

    Args:
        watched: Files to show.
        port: Port; 0 for a free one.

    Raises:
        SpecError: The port is taken, or not allowed.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, watched: Watched, port: int = 0) -> None:
        self.watched = watched
        self.listeners = threading.BoundedSemaphore(_MOST_LISTENERS)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            raise SpecError(
                f"port {port} cannot be used", where="--port", why=str(error), fix="leave it out for a free one"
            ) from error
        self._workers = [
            threading.Thread(target=target, daemon=True) for target in (self.serve_forever, watched.follow)
        ]

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def start(self) -> None:
        """Serves and watches, in threads of its own."""
        for thread in self._workers:
            thread.start()

    def close(self) -> None:
        """Stops serving, and lets listeners go."""
        self.watched.end()
        self.shutdown()
        self.server_close()
        for thread in self._workers:
            thread.join(5)

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: a browser that went away is not an error."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 30
    server_version, sys_version = "nasplug", ""

    def do_GET(self) -> None:
        """Answers with the page, or with its news."""
        if not self._own_name():
            self._refuse(403, "this server answers to its own address only")
        elif self.path == "/":
            self._answer(self.server.watched.page(), "text/html")
        elif self.path == "/events":
            self._events()
        else:
            self._refuse(404, "there is one page here: /")

    def do_HEAD(self) -> None:
        """Answers like `do_GET`, without the page."""
        self.do_GET()

    def do_POST(self) -> None:
        """Refuses: nothing can be written here."""
        self._refuse(405, "read only")

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def _own_name(self) -> bool:
        names = self.headers.get_all("Host") or []
        return len(names) == 1 and names[0].lower() in {f"{name}:{self.server.server_port}" for name in _NAMES}

    def _head(self, status: int, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", "frame-ancestors 'none'"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()

    def _answer(self, text: str, kind: str, status: int = 200) -> None:
        body = text.encode()
        self._head(status, kind, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, why: str) -> None:
        self._answer(f"{why}\n", "text/plain", status)

    def _events(self) -> None:
        if not self.server.listeners.acquire(blocking=False):
            self._refuse(503, "too many pages are open")
            return
        try:
            self._head(200, "text/event-stream")
            if self.command == "HEAD":
                return
            watched, known = self.server.watched, ""
            self.wfile.write(b"retry: 2000\n\n")
            while not watched.ended:
                revision = watched.news(known, _HEARTBEAT)
                said = f"event: revision\ndata: {revision}\n\n" if revision != known else ": still here\n\n"
                self.wfile.write(said.encode())
                known = revision
        except OSError:  # the page was closed
            pass
        finally:
            self.server.listeners.release()
