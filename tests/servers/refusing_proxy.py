"""S3 servers that refuse what some stores refuse: a real one behind an HTTP proxy that answers certain requests by itself."""

from __future__ import annotations

import http.client
import threading
from abc import ABC, abstractmethod
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import unquote

_HOP_BY_HOP = {"connection", "expect", "transfer-encoding", "keep-alive"}

Refusal = tuple[int, str, str]
"""Status, and S3's code and message of the error."""


class RefusingProxy(ABC):
    """Context manager in front of ``127.0.0.1:<port>``. Passes on everything that ``refusal`` says nothing about."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @abstractmethod
    def refusal(self, method: str, path: str, headers: Message) -> Refusal | None:
        """What is answered instead of the server; None: the request is passed on."""

    def __enter__(self) -> Self:
        proxy = self

        class Passing(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                refused = proxy.refusal(self.command, unquote(self.path), self.headers)
                if refused is not None:
                    status, code, message = refused
                    said = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
                    self._answer(status, {"Content-Type": "application/xml"}, said.encode())
                    return
                onward = http.client.HTTPConnection("127.0.0.1", proxy._target_port)
                passed = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
                onward.request(self.command, self.path, body, passed)
                answer = onward.getresponse()
                content = answer.read()
                self._answer(answer.status, dict(answer.getheaders()), content)
                onward.close()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any

            def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                        self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", headers.get("Content-Length", str(len(content))))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class ConditionRefusingProxy(RefusingProxy):
    """Refuses conditional writes with 501, as some stores do."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.refused = 0
        """How many were refused so far."""

    def refusal(self, method: str, path: str, headers: Message) -> Refusal | None:
        if "If-None-Match" in headers:
            self.refused += 1
            return 501, "NotImplemented", "A header you provided implies functionality that is not implemented"
        return None


class DeletionRefusingProxy(RefusingProxy):
    """Refuses certain deletions with 403: a store that keeps what is locked. Keys that contain one of ``locked`` stay."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.locked: tuple[str, ...] = ()

    def refusal(self, method: str, path: str, headers: Message) -> Refusal | None:
        if method == "DELETE" and any(each in path for each in self.locked):
            return 403, "AccessDenied", "The object is locked"
        return None
