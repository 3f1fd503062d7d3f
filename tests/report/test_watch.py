"""The live page: served to this machine alone, read only, and told of what another process writes."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.report import watch
from nasplug.report.watch import Server, Watched
from nasplug.testing import SyntheticEvaluator, SyntheticSpace

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


def search(path, trials=3):
    return nas.search(
        space=SyntheticSpace(), evaluator=SyntheticEvaluator(), strategy="random", trials=trials,
        storage=path, progress=False,
    )  # fmt: skip


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "LOOK", 0.05)
    monkeypatch.setattr(watch, "LEAST", 0.05)
    serving = Server(Watched([tmp_path / "s.sqlite"], nas.load_study))
    serving.start()
    yield serving
    serving.close()


def ask(server, path="/", method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{server.server_port}"})
    answer = connection.getresponse()
    return answer, answer.read().decode()


def listen(server):
    """Opens the stream of news."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request("GET", "/events")
    return connection.getresponse()


def following(stream):
    """Reads on to the next announcement."""
    while True:
        line = stream.readline().decode()
        assert line, "the stream ended"
        if line.startswith("data: "):
            return line.removeprefix("data: ").strip()


def test_it_waits_for_a_file_and_follows_it(server, tmp_path):
    answer, page = ask(server)
    assert answer.status == 200
    assert "Waiting for" in page
    assert "s.sqlite, which is not there yet" in page
    stream = listen(server)
    assert stream.getheader("Content-Type").startswith("text/event-stream")
    first = following(stream)
    assert f'data-revision="{first}"' in page
    search(tmp_path / "s.sqlite")
    second = following(stream)
    assert second != first
    deadline = time.monotonic() + 30
    while '"total":3' not in page and time.monotonic() < deadline:
        page = ask(server)[1]
        time.sleep(0.1)
    assert '"total":3' in page
    assert "Waiting for" not in page


def test_a_file_that_another_process_writes(server, tmp_path):
    script = (
        "import sys, nasplug as nas\n"
        "from nasplug.testing import SyntheticEvaluator, SyntheticSpace\n"
        "nas.search(space=SyntheticSpace(), evaluator=SyntheticEvaluator(), strategy='random', trials=5,"
        " storage=sys.argv[1], progress=False)\n"
    )
    stream = listen(server)
    first = following(stream)
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "s.sqlite")], check=True, timeout=120)
    assert following(stream) != first
    time.sleep(0.2)
    assert '"total":5' in ask(server)[1]


def test_the_page_is_made_once_for_each_state(server, tmp_path, monkeypatch):
    search(tmp_path / "s.sqlite")
    made = []
    whole = Watched._made
    monkeypatch.setattr(Watched, "_made", lambda self, revision: made.append(revision) or whole(self, revision))
    threads = [threading.Thread(target=ask, args=(server,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_damaged_file_is_a_notice(server, tmp_path):
    (tmp_path / "s.sqlite").write_text("this is not a study")
    answer, page = ask(server)
    assert answer.status == 200
    assert "cannot be read at present" in page


def test_only_its_own_name_is_answered(server):
    port = server.server_port
    assert ask(server, host=f"localhost:{port}")[0].status == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}", ""):
        for path in ("/", "/events"):
            answer, text = ask(server, path, host=host or " ")
            assert answer.status == 403, host
            assert "nasplug report" not in text


def test_there_is_one_page_and_nothing_can_be_written(server, tmp_path):
    search(tmp_path / "s.sqlite")
    for path in ("/s.sqlite", "/../s.sqlite", "/.", "/events/", "/?x", "/%2e%2e/s.sqlite"):
        assert ask(server, path)[0].status == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert ask(server, method=method)[0].status == 405, method
    before = (tmp_path / "s.sqlite").read_bytes()
    answer, text = ask(server, method="HEAD")
    assert (answer.status, text) == (200, "")
    assert (tmp_path / "s.sqlite").read_bytes() == before


def test_headers_forbid_what_a_page_does_not_need(server):
    answer, page = ask(server)
    assert answer.getheader("Content-Security-Policy") == "frame-ancestors 'none'"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"
    assert answer.getheader("Access-Control-Allow-Origin") is None
    assert "Python" not in answer.getheader("Server")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert "connect-src &#39;self&#39;" in policy


def test_it_listens_on_the_loopback_address_alone(server):
    assert server.server_address[0] == "127.0.0.1"


def test_closing_lets_listeners_go(server):
    stream = listen(server)
    following(stream)
    started = time.monotonic()
    server.close()
    while stream.readline():
        pass
    assert time.monotonic() - started < 5
    server.start = server.close = lambda: None  # the fixture need not


def test_too_many_listeners_are_sent_away(server, monkeypatch):
    server.listeners = threading.BoundedSemaphore(1)
    first = listen(server)
    following(first)
    assert listen(server).status == 503


def test_a_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SpecError, match=f"port {port} cannot be used"):
            Server(Watched([tmp_path / "s.sqlite"], nas.load_study), port)


def test_a_port_that_does_not_exist(tmp_path):
    with pytest.raises(SpecError, match="port 70000 cannot be used"):
        Server(Watched([tmp_path / "s.sqlite"], nas.load_study), 70_000)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_command_prints_its_address_and_ends_with_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "nasplug.cli", "watch", str(tmp_path / "later.sqlite")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        port = int(re.search(r"at http://127\.0\.0\.1:(\d+)/$", line.strip())[1])
        assert "waiting for" in process.stdout.readline()
        process.stdout.readline()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/")
        assert "Waiting for" in connection.getresponse().read().decode()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "no longer watching" in out
    assert err == ""
