"""JUnit XML as CI servers read it: what the schemas of Ant and of Jenkins both demand, and what is in it."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree

SUITE = {"name", "package", "id", "timestamp", "hostname", "time", "tests", "failures", "errors", "skipped"}
SECONDS = re.compile(r"\d+\.\d{3}")


@dataclass(frozen=True)
class Read:
    """By the name of a case: None where it passed, else its fault's parts, or ``skipped``."""

    cases: dict[str, dict[str, str] | str | None]
    properties: dict[str, str]
    said: str
    seconds: dict[str, float]

    @property
    def failed(self):
        return sorted(name for name, outcome in self.cases.items() if isinstance(outcome, dict))


def read_junit(file):
    root = ElementTree.parse(file).getroot()  # noqa: S314, our own
    assert (root.tag, root.attrib) == ("testsuites", {})
    [suite] = root
    assert suite.tag == "testsuite"
    assert set(suite.attrib) == SUITE and all(suite.attrib.values())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp")), "without an offset"
    properties, *cases, out, err = suite
    assert (properties.tag, out.tag, err.tag) == ("properties", "system-out", "system-err")
    assert all(each.tag == "property" and each.get("name") and set(each.attrib) == {"name", "value"} for each in properties)
    assert all(case.tag == "testcase" and set(case.attrib) == {"name", "classname", "time"} for case in cases)
    assert all(SECONDS.fullmatch(each.get("time")) for each in (suite, *cases))
    found = {case.get("name"): outcome(case) for case in cases}
    assert len(found) == len(cases)
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    failures, skipped = sum(isinstance(each, dict) for each in found.values()), sum(each == "skipped" for each in found.values())
    assert counts == {"tests": len(cases), "failures": failures, "errors": 0, "skipped": skipped}
    seconds = {case.get("name"): float(case.get("time")) for case in cases}
    return Read(found, {each.get("name"): each.get("value") for each in properties}, out.text or "", seconds)


def outcome(case):
    """At most one of a failure and a skip."""
    if not len(case):
        return None
    [told] = case
    assert not len(told)
    if told.tag == "skipped":
        assert told.get("message")
        return "skipped"
    assert (told.tag, set(told.attrib)) == ("failure", {"type", "message"})
    parts = dict(line.split(": ", 1) for line in told.text.splitlines() if re.match("(code|found|expected|hint): ", line))
    assert (parts["code"], parts["found"].split("\n")[0]) == (told.get("type"), told.get("message").split("\n")[0])
    return parts
