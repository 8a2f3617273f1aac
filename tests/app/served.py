"""Directories with services that stand on them; each command writes down that it ran."""

import json

from tests.app.shelves import Shelves


class Served(Shelves):
    """web stands on api and pics, api on docs, batch on logs. Each command writes down that it ran."""

    def write(self, *lines, **changed):
        services = {
            "web": {"depends_on": ["api", "pics"], "priority": "P1"},
            "api": {"depends_on": ["docs"]},
            "batch": {"depends_on": ["logs"], "priority": "P3", "tier": "critical"},
        }
        self.services = {name: {**each, **self.commands(name), **changed.pop(name, {})} for name, each in services.items()}
        resources = [
            f"pics: {{kind: files, path: {self.directory}/pics, depends_on: [docs]}}",
            f"logs: {{kind: files, path: {self.directory}/logs, priority: P3}}",
        ]
        told = [f"{name}: {json.dumps({k: v for k, v in each.items() if v is not None})}" for name, each in self.services.items()]
        super(Shelves, self).write(*lines, resources=resources, services=told)

    def commands(self, name):
        real = {what: self.command(f"echo {name}/{what} >> said") for what in ("stop", "start", "check")}
        return {**real, "drill": self.drill_commands()}

    def drill_commands(self, start="", **more):
        """Its process lives in the sandbox; what it is told is written down beside what is said."""
        words = [
            f"env > {self.directory}/env-$UNDERSTUDY_PORT",
            f"{start} sleep 1000 >/dev/null 2>&1 & echo $! > pid",
            f"echo $! >> {self.directory}/pids",
        ]
        check = f"kill -0 $(cat pid) && ls $UNDERSTUDY_COPY_DOCS >> {self.directory}/seen"
        return {
            "start": {"run": ["sh", "-c", "; ".join(words)]},
            "check": {"run": ["sh", "-c", check], "time_limit": "5s"},
            **more,
        }

    def pids(self):
        return [int(each) for each in (self.directory / "pids").read_text().split()]

    def told(self):
        """By the port that each service was told to use."""
        found = {}
        for file in self.directory.glob("env-*"):
            found[file.name.removeprefix("env-")] = dict(line.split("=", 1) for line in file.read_text().splitlines())
        return found

    def command(self, words, **more):
        return {"run": ["sh", "-c", words], "directory": str(self.directory), **more}

    def said(self):
        file = self.directory / "said"
        said = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return said


def states(view):
    return {step.key: step.state.value for step in view.steps}


def error_of(view, key):
    return next(step for step in view.steps if step.key == key)
