"""A small Hub on the loopback interface: what the real client needs of its HTTP API, and faults.

It keeps repositories in memory, each a list of commits, and records every request. A fault is
set by an attribute and lasts until the attribute is reset.
"""

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = 100_000
"""Bytes from which a file is in large file storage: named by its SHA-256, offered by Xet."""
TOKEN = "hf_stand_in"


def blob_id(data: bytes) -> str:
    """The hash that the Hub announces for a file."""
    if len(data) >= LARGE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repository:
    """Commits, oldest first, and the commit of each branch."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    created_as: dict = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit with exactly these files; returns its full name."""
        oid = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[oid] = files
        self.branches[branch] = oid
        return oid

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        oid = self.branches.get(revision) or revision
        return (oid, self.commits[oid]) if oid in self.commits else None


@dataclass
class Hub:
    """The stand-in's state, and its faults.

    Args:
        status: HTTP status of every answer; 0 for the right one.
        seconds: Time before each answer.
        hangs: What is never sent: "" for nothing, "all", or "body" for what follows the headers;
            "headers" are sent letter by letter for ever, "upload" leaves a large file unread.
        answers: Requests that are answered before it hangs.
        pause: Seconds before each 64 KiB of a file, in either direction.
        cut: Bytes after which every file breaks off.
        mangle: Changes a file's bytes, but not the hash that is announced.
        announced: Sizes to announce in place of the real ones.
        page: Whether every answer is a web page.
        odd: In place of None: what every answer is, as JSON.
        messages: Of the commits that were made, oldest first.
        large: Large files that were uploaded, by their SHA-256.
    """

    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    authorised: list[bool] = field(default_factory=list)
    status: int = 0
    seconds: float = 0.0
    hangs: str = ""
    answers: int = 0
    pause: float = 0.0
    cut: int | None = None
    mangle: Callable[[bytes], bytes] | None = None
    announced: dict[str, int] = field(default_factory=dict)
    page: bool = False
    odd: object = None
    messages: list[str] = field(default_factory=list)
    large: dict[str, bytes] = field(default_factory=dict)
    address: str = ""
    closed: threading.Event = field(default_factory=threading.Event)

    def repository(self, repo_id: str, kind: str = "models") -> Repository:
        """The repository, created where it is missing."""
        return self.repositories.setdefault((kind, repo_id), Repository())

    def downloads(self) -> list[str]:
        """Names of the files whose bytes were requested."""
        return [r.rsplit("/", 1)[1] for r in self.requests if r.startswith("GET /") and "/res" in r]


class Handler(BaseHTTPRequestHandler):
    """Answers one request from `self.hub`."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _body(self) -> bytes:
        left = int(self.headers.get("Content-Length", 0))
        if self.command == "PUT" and self.hub.hangs == "upload":
            self.hub.closed.wait()
        pieces = []
        while left:
            time.sleep(self.hub.pause)
            pieces.append(self.rfile.read(min(left, 2**16)))
            left -= len(pieces[-1])
        return b"".join(pieces)

    def _answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.requests.append(f"{self.command} {path}")
        body = self._body()
        hub.authorised.append("Authorization" in self.headers)
        if hub.hangs == "all" and len(hub.requests) > hub.answers:
            hub.closed.wait()
        if hub.hangs == "headers" and len(hub.requests) > hub.answers:
            self._drip()
        if hub.closed.is_set():
            self.close_connection = True
            return None
        time.sleep(hub.seconds)
        if hub.odd is not None:
            return self._json(hub.odd)
        if hub.page:
            return self._send(b"<!doctype html><title>Welcome</title>", type="text/html")
        if hub.status:
            return self._fail(hub.status)
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if self.command == "PUT":
            hub.large[hashlib.sha256(body).hexdigest()] = body
            return self._send(b"")
        parts = path.strip("/").split("/")
        if parts[-1] == "batch":
            return self._batch(json.loads(body)["objects"])
        if parts[0] == "api":
            return self._api(parts[1], "/".join(parts[2:4]), parts[4:], body)
        kind = parts.pop(0) if parts[0] == "spaces" else "models"
        return self._file(kind, "/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _api(self, kind: str, repo_id: str, rest: list[str], body: bytes) -> None:
        repository = self._readable(kind, repo_id)
        if repository is None:
            return self._fail(401, "RepoNotFound")
        action, revision = (rest[0] if rest else "revision"), "/".join(rest[1:]) or "main"
        if action == "branch":
            repository.branches.setdefault(revision, repository.branches["main"])
            return self._json({})
        if action == "preupload":
            files = json.loads(body)["files"]
            modes = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if f["size"] >= LARGE else "regular",
                    "shouldIgnore": False,
                }
                for f in files
            ]
            return self._json({"files": modes})
        if action == "commit":
            return self._commit(kind, repo_id, repository, revision, body)
        found = repository.at(revision)
        if found is None:
            return self._fail(404, "RevisionNotFound")
        oid, files = found
        if action == "paths-info":
            asked = parse_qs(body.decode())["paths"]
            return self._json([self._entry(p, files[p]) for p in asked if p in files])
        if action == "tree":
            return self._json([self._entry(p, data) for p, data in files.items()])
        siblings = [{"rfilename": p} for p in files]
        return self._json({"id": repo_id, "sha": oid, "siblings": siblings})

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        with suppress(OSError):
            while not self.hub.closed.wait(0.1):
                self.wfile.write(b"X-Slow: 1\r\n")

    def _batch(self, objects: list[dict]) -> None:
        """Say where large files are to be sent."""
        for each in objects:
            each["actions"] = {"upload": {"href": f"{self.hub.address}/large/{each['oid']}"}}
        self._json({"objects": objects})

    def _entry(self, path: str, data: bytes) -> dict:
        size = self.hub.announced.get(path, len(data))
        entry = {"type": "file", "path": path, "size": size, "oid": blob_id(data)}
        if len(data) >= LARGE:
            entry["lfs"] = {"size": size, "oid": blob_id(data), "pointerSize": 130}
        return entry

    def _create(self, asked: dict) -> None:
        if not self._logged_in():
            return self._fail(401)
        kind = "spaces" if asked.get("type") == "space" else "models"
        repo_id = f"{asked['organization']}/{asked['name']}"
        prefix = "spaces/" if kind == "spaces" else ""
        link = {"url": f"{self.hub.address}/{prefix}{repo_id}"}
        if (kind, repo_id) in self.hub.repositories:
            return self._send(json.dumps(link).encode(), status=409)
        repository = self.hub.repository(repo_id, kind)
        repository.private = asked.get("private", asked.get("visibility") == "private")
        repository.created_as = asked
        repository.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        return self._json(link)

    def _commit(
        self, kind: str, repo_id: str, repository: Repository, branch: str, body: bytes
    ) -> None:
        if not self._logged_in():
            return self._fail(403)
        before = repository.at(branch)
        files = dict(before[1]) if before else {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.hub.messages.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = repository.commit(files, branch)
        url = f"{self.hub.address}/{'spaces/' * (kind == 'spaces')}{repo_id}/commit/{oid}"
        return self._json({"commitUrl": url, "commitOid": oid, "success": True})

    def _file(self, kind: str, repo_id: str, revision: str, path: str) -> None:
        repository = self._readable(kind, repo_id)
        if repository is None:
            return self._fail(401, "RepoNotFound")
        if repository.gated and not self._logged_in():
            return self._fail(403, "GatedRepo")
        found = repository.at(revision)
        if found is None:
            return self._fail(404, "RevisionNotFound")
        oid, files = found
        if path not in files:
            return self._fail(404, "EntryNotFound", {"X-Repo-Commit": oid})
        data = files[path]
        head = {"X-Repo-Commit": oid, "ETag": f'"{blob_id(data)}"'}
        if len(data) >= LARGE:
            head["X-Xet-Hash"] = hashlib.blake2s(data).hexdigest()
            head["X-Xet-Refresh-Route"] = f"{self.hub.address}/api/{kind}/{repo_id}/xet-read-token"
        if self.hub.mangle:
            data = self.hub.mangle(data)
        return self._send(data, head, type="application/octet-stream")

    def _readable(self, kind: str, repo_id: str) -> Repository | None:
        repository = self.hub.repositories.get((kind, repo_id))
        if repository and repository.private and not self._logged_in():
            return None
        return repository

    def _logged_in(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _json(self, value: object) -> None:
        self._send(json.dumps(value).encode())

    def _fail(self, status: int, code: str = "", headers: dict[str, str] | None = None) -> None:
        extra = {"X-Error-Code": code} if code else {}
        self._send(b"{}", {**(headers or {}), **extra}, status=status)

    def _send(
        self,
        data: bytes,
        headers: dict[str, str] | None = None,
        *,
        status: int = 200,
        type: str = "application/json",
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": type, **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if "ETag" in (headers or {}) and self.hub.hangs == "body":
            self.hub.closed.wait()
        if "ETag" in (headers or {}) and self.hub.cut is not None:
            data = data[: self.hub.cut]
            self.close_connection = True
        for start in range(0, len(data), 2**16):
            if "ETag" in (headers or {}):
                time.sleep(self.hub.pause)
            self.wfile.write(data[start : start + 2**16])


class StandIn:
    """A running stand-in; `hub` is its state. It can be stopped and started at the same address."""

    def __init__(self) -> None:
        self.hub = Hub()
        self._port = 0
        self.start()

    def start(self) -> None:
        """Listen at the same port as before."""
        handler = type("BoundHandler", (Handler,), {"hub": self.hub})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._server.daemon_threads = True
        # As on a slow line, what is not read soon keeps the other side from sending more.
        self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        self._port = self._server.server_address[1]
        self.hub.address = f"http://127.0.0.1:{self._port}"
        self.hub.closed.clear()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse every connection from now on."""
        self.hub.closed.set()
        self._server.shutdown()
        self._server.server_close()
