"""An S3 server that refuses conditional writes: a real one behind an HTTP proxy that answers them with 501, as some stores do."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_NOT_IMPLEMENTED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>NotImplemented</Code>'
    b"<Message>A header you provided implies functionality that is not implemented</Message></Error>"
)
_HOP_BY_HOP = {"connection", "expect", "transfer-encoding", "keep-alive"}


class ConditionRefusingProxy:
    """Context manager in front of ``127.0.0.1:<port>``."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self.refused = 0
        """How many conditional writes were refused so far."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ConditionRefusingProxy:
        proxy = self

        class Passing(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if "If-None-Match" in self.headers:
                    proxy.refused += 1
                    self._answer(501, {"Content-Type": "application/xml"}, _NOT_IMPLEMENTED)
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
