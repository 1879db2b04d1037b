"""A page that follows a run during training, served to this machine only."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from ganforge.errors import GANForgeError, reason
from ganforge.files import MIB, own, read_file
from ganforge.report.following import Following
from ganforge.report.render import finite, render

HOST = "127.0.0.1"
PATIENCE, CLIENTS = 10, 32  # seconds; how many are answered at a time
MOST_GRID = 512 * MIB


def serve(run: Path, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of the page for ``run`` on the loopback interface; 0 chooses a free port.

    The caller runs ``serve_forever``. Raises ``GANForgeError`` when the port is taken.
    """

    following = Following(run)

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE  # of a client that says nothing, or takes nothing

        def do_GET(self) -> None:
            # A page elsewhere that resolves its own name to this machine must not read a run.
            host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
            if host not in (HOST, "localhost"):
                self._answer(403, "text/plain", b"this page is only for this machine")
                return
            self._answer(*answer(following, self.path))

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            try:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # it has gone
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: a line for each request would be noise."""

    try:
        return Server((HOST, port), Handler)
    except OSError as error:
        raise GANForgeError(
            f"port {port} cannot be used ({reason(error, kind=False)}); choose another with --port"
        ) from None


class Server(ThreadingHTTPServer):
    """A thread a client, ``CLIENTS`` at a time; the others wait for their turn."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._places = threading.BoundedSemaphore(CLIENTS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""


def answer(following: Following, path: str) -> tuple[int, str, bytes]:
    """Return the code, kind and body for a path; whatever the run holds, there is an answer."""
    run = following.run
    path, _, query = path.partition("?")
    try:
        if path == "/":
            return 200, "text/html; charset=utf-8", page(run).encode("utf-8", "replace")
        if path == "/state.json":
            return 200, "application/json", _state(following, query)
        if match := re.fullmatch(r"/grid/((?:epoch|step)_[0-9]{1,15}\.png)", path):
            grid = own(run, "snapshots", match[1])
            return 200, "image/png", read_file(grid, MOST_GRID, links=False)
        return 404, "text/plain", b"there is no such page"
    except FileNotFoundError:
        return 404, "text/plain", b"there is no such grid"
    except GANForgeError as error:
        return 503, "text/plain; charset=utf-8", str(error).encode()
    except Exception as error:
        return 503, "text/plain; charset=utf-8", reason(error, kind=not isinstance(error, OSError)).encode()


def _state(following: Following, query: str) -> bytes:
    seen = parse_qs(query).get("seen", [""])[0]
    return json.dumps(finite(following.state(seen)), allow_nan=False).encode()


def page(run: Path) -> str:
    """Return the page, which asks for ``state.json`` again and again."""
    return render("watch.html", run.name, {"name": run.name})
