"""A real Redis server, Debian's, on a socket and on a free port of the loopback, in a directory of its own."""

from __future__ import annotations

import shutil
import subprocess
from types import TracebackType

from tests.room import new_path
from tests.servers.certificates import make_certificate
from tests.servers.postgres import free_port
from tests.servers.processes import wait_until

PASSWORD = "pass/word of the tests"  # noqa: S105 - of a server on the loopback that lives as long as a test


class RedisServer:
    """Context manager. ``password``: of its only user; ``tls``: the port speaks nothing else."""

    def __init__(self, *options: str, password: str = "", tls: bool = False) -> None:
        self.directory = new_path("redis")
        self.directory.mkdir()
        self.socket = self.directory / "s"
        self.port = free_port()
        self._options = options
        self._password = password
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def start(self) -> None:
        ports = ["--port", str(self.port)]
        if self._tls:
            certificate, key = make_certificate(self.directory)
            ports = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            ports += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate)]
        secret = ["--requirepass", self._password] if self._password else []
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "redis-server", "--bind", "127.0.0.1", *ports, "--unixsocket", str(self.socket), "--dir", str(self.directory),
                    "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", *secret, *self._options,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(lambda: self._process is not None and self._says("PING") == "PONG", "the Redis server")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, *words: str) -> str:
        said = self._says(*words)
        assert not said.startswith(("ERR", "NOAUTH", "(error)")), said
        return said

    def fill(self, keys: int, database: int = 0) -> None:
        self.ask("-n", str(database), "EVAL", "for i = 1, ARGV[1] do redis.call('set', 'key:' .. i, i) end", "0", str(keys))

    def _says(self, *words: str) -> str:
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **({"REDISCLI_AUTH": self._password} if self._password else {})}
        command = ["redis-cli", "-s", str(self.socket), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()
