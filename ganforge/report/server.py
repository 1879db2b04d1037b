"""A page that follows a run while it trains, served to this machine alone."""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ganforge.diagnosis.evidence import gather
from ganforge.diagnosis.rules import diagnose
from ganforge.errors import GANForgeError, reason
from ganforge.report.render import curves, render
from ganforge.runs import list_snapshots, read_manifest, read_metrics, snapshot_path

HOST = "127.0.0.1"


def serve(run: Path, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of the page for ``run`` on the loopback interface; 0 chooses a free port.

    The caller runs ``serve_forever``. Raises ``GANForgeError`` when the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A page elsewhere that resolves its own name to this machine must not read a run.
            host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
            if host not in (HOST, "localhost"):
                self._answer(403, "text/plain", b"only for this machine")
                return
            path = self.path.partition("?")[0]
            try:
                if path == "/":
                    self._answer(200, "text/html; charset=utf-8", page(run).encode())
                elif path == "/state.json":
                    self._answer(200, "application/json", json.dumps(state(run)).encode())
                elif match := re.fullmatch(r"/grid/([0-9]{1,9})\.png", path):
                    self._answer(200, "image/png", snapshot_path(run, int(match[1])).read_bytes())
                else:
                    self._answer(404, "text/plain", b"there is nothing here")
            except FileNotFoundError:
                self._answer(404, "text/plain", b"there is no such grid")
            except GANForgeError as error:
                self._answer(503, "text/plain; charset=utf-8", str(error).encode())

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: a line for each request would be noise."""

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        raise GANForgeError(
            f"port {port} cannot be used ({reason(error, kind=False)}); choose another with --port"
        ) from None


def page(run: Path) -> str:
    """Return the page, which asks for ``state.json`` again and again."""
    return render("watch.html", run.name, {"name": run.name})


def state(run: Path) -> dict[str, Any]:
    """Return how a run is now: progress, curves, the epochs that have a grid, and what is wrong, JSON-able."""
    manifest, lines = read_manifest(run), read_metrics(run)
    last = lines[-1] if lines else {}
    return {
        "name": run.name,
        "state": manifest["state"],
        "about": f"{manifest['config']['arch']} · {' + '.join(manifest['config']['balance']) or 'no balancing'}",
        # run.json says how far the last checkpoint is; the logged lines are ahead of it.
        "step": max(manifest["progress"]["step"], last.get("step", 0)),
        "steps": manifest["progress"]["steps"],
        "epochs": manifest["progress"]["epochs"],
        "last": {k: v for k, v in last.items() if isinstance(v, (int, float))},
        "curves": curves(lines),
        "grids": [epoch for epoch, _ in list_snapshots(run)],
        "findings": [{"title": f.title, "numbers": f.numbers, "why": f.why} for f in diagnose(gather(run))],
    }
