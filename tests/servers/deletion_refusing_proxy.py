"""An S3 server that keeps what is locked: a real one behind an HTTP proxy that answers certain deletions with 403."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

_DENIED = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>The object is locked</Message></Error>'
_HOP_BY_HOP = {"connection", "expect", "transfer-encoding", "keep-alive"}


class DeletionRefusingProxy:
    """Context manager in front of ``127.0.0.1:<port>``. Keys that contain one of ``locked`` stay."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self.locked: tuple[str, ...] = ()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> DeletionRefusingProxy:
        proxy = self

        class Passing(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.command == "DELETE" and any(each in unquote(self.path) for each in proxy.locked):
                    self._answer(403, {"Content-Type": "application/xml"}, _DENIED)
                    return
                onward = http.client.HTTPConnection("127.0.0.1", proxy._target_port)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
                onward.request(self.command, self.path, body, headers)
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
