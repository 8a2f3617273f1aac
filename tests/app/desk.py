"""A stack file, keys, and directories for one real server: what a person has on the desk before the first backup."""

import shutil
import subprocess

import pytest

from tests.room import new_path
from understudy.adapters.age import new_identity
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.receiver_process import ReceiverProcess
from understudy.app.preflight import check
from understudy.judge.preflight import Grade


class Desk:
    """``write`` the stack file, then ``check`` it. All in one directory that the servers' user can enter."""

    def __init__(self):
        self.directory = new_path("desk")
        self.directory.mkdir(mode=0o711)
        self.identity, self.recipient = new_identity()
        self.identity_file = self.secret_file("identity", self.identity.reveal())
        self.stack_file = self.directory / "understudy.yaml"
        self.state = self.directory / "state"

    def secret_file(self, name, content, mode=0o600):
        path = self.directory / name
        path.write_text(content)
        path.chmod(mode)
        return path

    def write(self, server, *resource_lines, url=None, encryption=(), repository="", programs=None):
        """``resource_lines`` are indented by four blanks here; those of ``encryption`` by two."""
        self.secret_file("url", url or server.replication_url)
        recover = f"{{directory: {self.directory}/recovered, port: {server.port}, programs: {programs or server.programs}}}"
        lines = [
            "stack: shop",
            "repositories:",
            f"  near: {repository or f'{{url: file://{self.directory}/repository}}'}",
            "encryption:",
            *(f"  {line}" for line in encryption or (f"recipients: [{self.recipient}]", f"identity: file:{self.identity_file}")),
            "resources:",
            "  orders:",
            "    kind: postgres",
            f"    url: file:{self.directory}/url",
            *(f"    {line}" for line in resource_lines),
            *([] if any(line.startswith("recover:") for line in resource_lines) else [f"    recover: {recover}"]),
        ]
        self.stack_file.write_text("\n".join(lines) + "\n")

    def check(self):
        """The findings by aspect; several of one aspect are joined as a list. No failure goes without what to change."""
        found = {}
        for finding in check(self.stack_file, self.state).findings:
            assert finding.change or finding.grade is not Grade.FAILURE, finding
            found.setdefault(finding.aspect, []).append(finding)
        return found

    def finding(self, aspect):
        """The gravest of an aspect."""
        return max(self.check()[aspect], key=lambda finding: ("ok", "warning", "failure").index(finding.grade.value))

    def contents(self):
        return sorted(path.name for path in self.directory.iterdir())

    def end_receivers(self):
        """Those that a test left running here: they outlive whoever started them."""
        for lock in self.directory.glob("*/wal/*/lock"):
            ReceiverProcess(lock, SystemClock()).stop()

    def close(self):
        self.end_receivers()
        shutil.rmtree(self.directory)


class KeptDesk:
    """A desk as it is now, for many tests: ``put_back`` makes it so again, at the same place, for all paths are absolute.

    What the server remembers is not put back: whoever takes a second backup of it has it look at a slot that is ahead.
    """

    def __init__(self, desk):
        self.desk = desk
        self._kept = new_path("kept")
        desk.end_receivers()
        self._copy(desk.directory, self._kept)

    def put_back(self):
        self.desk.close()
        self._copy(self._kept, self.desk.directory)
        return self.desk

    def close(self):
        self.desk.close()
        shutil.rmtree(self._kept)

    def _copy(self, what, where):
        subprocess.run(["cp", "-a", "--reflink=auto", str(what), str(where)], check=True)


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.close()
