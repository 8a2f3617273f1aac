"""Mistakes in what a stack file says of services."""

import pytest

from tests.stack.files import file_with, only_mistake


@pytest.mark.parametrize(
    ("web", "path", "value", "expected"),
    [
        (
            "depends_on: [order]",
            "depends_on[0]",
            "order",
            "one of the resources and services api, orders, web (did you mean orders?)",
        ),
        ("depends_on: [api, api]", "depends_on[1]", "api", "each name once"),
        ("depends_on: [web]", "depends_on[0]", "web", "web depends on web"),
        ("tier: gold", "tier", "gold", "one of the tiers"),
        ("check: {run: ['true'], repeatable: true}", "check.repeatable", "the key repeatable", "one of the keys run"),
        ("start: {run: []}", "start.run", "an empty list", "one argument of a command"),
    ],
)
def test_what_is_wrong_with_a_service_is_told(web, path, value, expected):
    told = {"start": "{run: ['true']}", "check": "{run: ['true']}"}
    key, _, own = web.partition(": ")
    lines = "".join(f"    {name}: {given}\n" for name, given in {**told, key: own}.items())
    found = only_mistake(file_with(top=f"services:\n  api: {{start: {{run: [x]}}, check: {{run: [x]}}}}\n  web:\n{lines}"))
    assert (found.path, found.value) == (f"services.web.{path}", value)
    assert expected in found.expected


def test_no_service_has_the_name_of_a_resource():
    found = only_mistake(file_with(top="services:\n  orders: {start: {run: [x]}, check: {run: [x]}}"))
    assert (found.path, found.expected) == ("services.orders", "a name that no resource has")


def test_a_circle_over_services_is_told_once():
    text = "services:\n  {n}: {start: {run: [x]}, check: {run: [x]}, depends_on: [{d}]}\n"
    lines = "services:\n" + "".join(
        text.removeprefix("services:\n").replace("{n}", name).replace("{d}", other)
        for name, other in (("api", "web"), ("web", "api"))
    )
    found = only_mistake(file_with(top=lines))
    assert found.path == "services.api.depends_on[0]"
    assert "api depends on web depends on api" in found.expected


def test_no_rotation_has_the_name_of_a_resource_or_a_service():
    found = only_mistake(file_with(top="security_incident: {rotate: {orders: {run: [x]}}}"))
    assert (found.path, found.expected) == ("security_incident.rotate.orders", "a name that no resource and no service has")
