"""Pages about runs from anywhere: a text in them is a text, and ``watch`` answers every client."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support import SMALL

from ganforge import train
from ganforge.report import server
from ganforge.report.render import render

TEXTS = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "{{data}}{{title}}/*{{chart}}*//*{{style}}*/",
    "'\"&amp;<img src=x onerror=alert(1)>",
    "\u2028\u2029\x00\x1b[2J",
    "\\u003c/script\\u003e",
)


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and the texts of its title, heading and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.attributes: dict[str, list[dict]] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.setdefault(tag, []).append(dict(attrs))
        self.texts.setdefault(tag, []).append("")
        self._open = tag

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open:
            self.texts[self._open][-1] += data


@pytest.mark.parametrize("template", ["report.html", "watch.html"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_a_text_wherever_it_stands(template, text):
    data = {"title": text, text: [text, float("nan"), {"deep": float("-inf")}]}
    page, plain = Page(render(template, text, data)), Page(render(template, "plain", {}))
    assert page.tags == plain.tags
    assert [set(one) for one in page.attributes["script"]] == [{"id", "type"}, set()]
    holder, code = page.texts["script"]
    assert "<" not in holder  # a comment in a script that begins another one goes on to its end
    assert json.loads(holder, parse_constant=pytest.fail) == {"title": text, text: [text, None, {"deep": None}]}
    assert code == plain.texts["script"][1]
    shown = text.replace("\x00", "\ufffd")
    assert page.texts["title"][0].replace("\x00", "\ufffd").removesuffix(" · GANForge") == shown
    policy = next(one["content"] for one in page.attributes["meta"] if one.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert re.search(r"script-src ([^;]*);", policy)[1] == f"'sha256-{digest}'"
    assert policy.startswith("default-src 'none';")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    settings = {**SMALL, "image_size": 8, "epochs": 1, "snapshot_every": 1}
    return train(**settings, runs_dir=tmp_path_factory.mktemp("made")).path


@pytest.fixture
def run(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "run_1")
    return tmp_path / "run_1"


@pytest.fixture
def port(run, monkeypatch):
    monkeypatch.setattr(server, "CLIENTS", 2)
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    served = server.serve(run)
    threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()
    yield served.server_port
    served.shutdown()
    served.server_close()


def asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_watch_answers_whatever_the_run_holds(run, port, tmp_path):
    whole = (run / "run.json").read_text()
    lines = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(lines + '{"step": 3, "epoch": 1.5, "d_loss": NaN, "g_loss": 1e999}\n')
    code, text = asked(port, "/state.json")
    assert code == 200
    state = json.loads(text, parse_constant=pytest.fail)
    telling = state["seen"].split(".")[0]
    for odd in (
        "",
        "x",
        f"{telling}.-1.2",
        f"{telling}.1",
        f"{telling}.{'9' * 5000}.1",
        f"{telling}.99999.1",
        "%00%ff",
    ):
        assert json.loads(asked(port, f"/state.json?seen={odd}")[1])["fresh"]
    assert state["step"] == 3
    assert state["last"].get("d_loss") is None
    for damaged in (
        "",
        "{",
        "[]",
        "\x1b]0;x\x07",
        json.dumps({**json.loads(whole), "progress": {"step": "\x1b[2J"}}),
    ):
        (run / "run.json").write_text(damaged)
        code, text = asked(port, "/state.json")
        assert (code, "\x1b" in text, "Traceback" in text) == (503, False, False)
        assert asked(port, "/")[0] == 200
    (run / "run.json").write_text(whole)
    (tmp_path / "secret.png").write_text("secret")
    grid = run / "snapshots" / "epoch_0001.png"
    grid.unlink()
    grid.symlink_to(tmp_path / "secret.png")
    code, text = asked(port, "/grid/epoch_0001.png")
    assert (code, "secret" in text.replace(str(tmp_path), "")) == (503, False)
    grid.unlink()
    os.mkfifo(grid)
    assert asked(port, "/grid/epoch_0001.png")[0] == 503
    shutil.rmtree(run)
    assert asked(port, "/state.json")[0] == 503


def test_who_asks_from_elsewhere_is_told_nothing_and_no_browser_guesses(run, port, tmp_path):
    for path in ("/", "/state.json", "/grid/epoch_0001.png", "/nothing"):
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", f"evil:{port}"):
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host})
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(request, timeout=10)
        try:
            answer = urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    (run / "snapshots").rename(tmp_path / "album")
    (run / "snapshots").symlink_to(tmp_path / "album")
    assert asked(port, "/grid/epoch_0001.png")[0] == 503


def test_no_page_makes_elements_of_texts():
    """In a browser: what a text becomes there is decided by the call that is given it."""
    for page in (Path(server.__file__).parent / "page").iterdir():
        text = page.read_text("utf-8")
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\bFunction\(", text)


def test_clients_that_say_nothing_or_go_keep_nobody_waiting_and_are_not_told_of(port, capfd):
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    assert asked(port, "/")[0] == 200  # in time
    for asking in (b"GET /state.json HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /state.js", b"") * 3:
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(asking)
        time.sleep(0.05)  # it is being read
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # gone, without a word
        one.close()
    assert asked(port, "/")[0] == 200
    for one in silent:
        one.close()
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_no_more_clients_than_so_many_are_answered_at_a_time(port, monkeypatch):
    at_once, most, count = threading.Lock(), [0], [0]
    two = threading.Barrier(2)

    def slow(run, path):
        with at_once:
            count[0] += 1
            most[0] = max(most[0], count[0])
        two.wait(30)
        time.sleep(0.05)  # for a third to come
        with at_once:
            count[0] -= 1
        return 200, "text/plain", b"done"

    monkeypatch.setattr(server, "answer", slow)
    threads = [threading.Thread(target=asked, args=(port, "/")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2
