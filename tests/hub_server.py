"""A stand-in for Hugging Face's hub on this machine: what sending and fetching a model takes of its interface."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_of-the-tests"
SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What the server has: repositories, by name the files of each; large ones by their SHA-256."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.messages: list[str] = []
        self.said: dict[str, int] = {}  # sizes that it lies about
        self.address = ""


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, value: Any, status: int = 200, **headers: str) -> None:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            for name, text in headers.items():
                self.send_header(name.replace("_", "-"), text)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                parts = b""
                while size := int(self.rfile.readline(), 16):
                    parts += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return parts
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_POST(self) -> None:
            content, path = self.body(), self.path.partition("?")[0]
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self.answer({"error": "Invalid username or password."}, 401)
            if path == "/api/repos/create":
                asked = json.loads(content)
                name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
                if name in hub.repos:
                    return self.answer({"error": "You already created this model repo"}, 409)
                hub.repos[name] = {}
                hub.private[name] = asked.get("private") is True or asked.get("visibility") == "private"
                return self.answer({"url": f"{hub.address}/{name}"})
            if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", path):
                files = json.loads(content)["files"]
                modes = ["lfs" if one["size"] > 4096 else "regular" for one in files]
                found = [
                    {"path": f["path"], "uploadMode": mode, "shouldIgnore": False} for f, mode in zip(files, modes)
                ]
                return self.answer({"files": found})
            if path.endswith("/info/lfs/objects/batch"):
                asked = json.loads(content)
                found = [
                    {**one, "actions": {"upload": {"href": f"{hub.address}/lfs/{one['oid']}"}}}
                    for one in asked["objects"]
                ]
                return self.answer({"transfer": "basic", "objects": found})
            if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
                for line in content.splitlines():
                    entry = json.loads(line)
                    value = entry["value"]
                    if entry["key"] == "header":
                        hub.messages.append(value["summary"])
                    elif entry["key"] == "file":
                        hub.repos[match[1]][value["path"]] = base64.b64decode(value["content"])
                    elif entry["key"] == "lfsFile":
                        hub.repos[match[1]][value["path"]] = hub.objects[value["oid"]]
                return self.answer(
                    {"success": True, "commitUrl": f"{hub.address}/{match[1]}/commit/{SHA}", "commitOid": SHA}
                )
            if path == "/api/validate-yaml":
                return self.answer({"errors": [], "warnings": []})
            return self.answer({"error": "not found"}, 404)

        def do_PUT(self) -> None:
            content = self.body()
            hub.objects[self.path.rpartition("/")[2]] = content
            assert hashlib.sha256(content).hexdigest() == self.path.rpartition("/")[2]
            self.answer(b"")

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
                if match[1] not in hub.repos:
                    return self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
                if match[2] not in (None, "main", SHA):
                    return self.answer({"error": "Invalid rev id"}, 404, X_Error_Code="RevisionNotFound")
                sizes = {name: hub.said.get(name, len(file)) for name, file in hub.repos[match[1]].items()}
                siblings = [{"rfilename": name, "size": size} for name, size in sizes.items()]
                return self.answer({"id": match[1], "sha": SHA, "siblings": siblings, "private": False})
            if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
                content = hub.repos.get(match[1], {}).get(match[2])
                if content is None:
                    return self.answer({"error": "not found"}, 404, X_Error_Code="EntryNotFound")
                etag = f'"{hashlib.sha256(content).hexdigest()}"'
                return self.answer(content, ETag=etag, X_Repo_Commit=SHA)
            return self.answer({"error": "not found"}, 404)

        do_HEAD = do_GET

    return Handler


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve while this lasts; the hub's ``address`` is on the loopback."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
