"""OpenPGP keys for tests, made with gpg's own commands in keyrings that are nobody's."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from understudy.vocabulary.secret import Secret


@dataclass(frozen=True)
class OpenPgpKey:
    fingerprint: str
    public: str
    secret: Secret


class Keyring(tempfile.TemporaryDirectory):
    """In a directory whose name is short enough for the agent's socket. The agent ends when it is removed."""

    def __init__(self) -> None:
        super().__init__(dir="/tmp", prefix="keyring-")
        Path(self.name, "gpg-agent.conf").write_text("s2k-count 65536\n")  # so that a passphrase costs no second

    def __enter__(self) -> Keyring:
        return self

    def run(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["gpg", "--homedir", self.name, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
        return subprocess.run([*command, *arguments], input=given, capture_output=True, check=True)

    def text(self, *arguments: str) -> str:
        return self.run(*arguments).stdout.decode()

    def make(self, name: str, usage: str = "default", expire: str = "never", *options: str) -> str:
        """Returns the fingerprint."""
        algorithm = "future-default" if usage == "default" else "ed25519"
        self.run(*options, "--quick-generate-key", f"{name} <{name}@example>", algorithm, usage, expire)
        shown = self.text("--with-colons", "--list-keys", f"{name}@example")
        return next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr:"))


@cache
def openpgp_key(name: str, *, usage: str = "default", expire: str = "never", made: str = "", protection: str = "") -> OpenPgpKey:
    """One for each name. ``made``: the moment of its making, as ``20200101T000000``."""
    with Keyring() as ring:
        protected = ["--passphrase", protection]
        fingerprint = ring.make(name, usage, expire, *protected, *(["--faked-system-time", made] if made else []))
        secret = ring.text(*protected, "--armor", "--export-secret-keys", fingerprint)
        return OpenPgpKey(fingerprint, ring.text("--armor", "--export", fingerprint), Secret(secret))


@cache
def revoked_key(name: str) -> OpenPgpKey:
    with Keyring() as ring:
        fingerprint = ring.make(name)
        secret = ring.text("--armor", "--export-secret-keys", fingerprint)
        (certificate,) = Path(ring.name, "openpgp-revocs.d").glob("*.rev")
        ring.run("--import", given=certificate.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
        return OpenPgpKey(fingerprint, ring.text("--armor", "--export", fingerprint), Secret(secret))
