"""Where a Redis server is, and with whose rights it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

_STANDARD_PORT = 6379
_PASSWORD_VARIABLE = "REDISCLI_AUTH"  # noqa: S105 - the name of a variable that redis-cli reads


@dataclass(frozen=True, slots=True)
class TlsFiles:
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def arguments(self) -> tuple[str, ...]:
        named = (("--cacert", self.ca), ("--cert", self.certificate), ("--key", self.key))
        return ("--tls", *(word for option, file in named if file is not None for word in (option, file)))


@dataclass(frozen=True, slots=True)
class RedisAddress:
    arguments: tuple[str, ...]
    """Of redis-cli; no secret is among them."""
    shown: str
    """To people, without credentials."""
    environment: Mapping[str, Secret] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: Secret, password: Secret | None, tls_files: TlsFiles) -> RedisAddress:
        """
        Raises:
            GiveUp: ``url_malformed``.
        """
        try:
            parts = urlsplit(url.reveal())
            port = parts.port
        except ValueError:
            raise _malformed() from None
        if password is None and parts.password:
            password = Secret(unquote(parts.password))
        environment = {} if password is None else {_PASSWORD_VARIABLE: password}
        user = ("--user", unquote(parts.username)) if parts.username else ()
        if parts.scheme == "unix" and parts.path.startswith("/"):
            return cls(("-s", unquote(parts.path), *user), f"unix:{parts.path}".replace("unix:/", "unix:///", 1), environment)
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise _malformed()
        tls = tls_files.arguments() if parts.scheme == "rediss" else ()
        place = ("-h", parts.hostname, "-p", str(port or _STANDARD_PORT))
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls((*place, *user, *tls), f"{parts.scheme}://{host}:{port or _STANDARD_PORT}", environment)


def _malformed() -> GiveUp:
    """The text is not repeated: it may hold the password."""
    return GiveUp(
        "url_malformed",
        found="what stands behind the url of a Redis server is none",
        expected="redis://[USER[:PASSWORD]@]HOST[:PORT], rediss://… for TLS, or unix:/path/of/the/socket",
        hint="correct what url refers to; in a password, what is no letter and no digit is written as %XX",
    )
