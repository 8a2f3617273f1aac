"""Stack files to test with, and what the loader makes of them."""

import pytest

from tests.stack.editor import underlined
from understudy.stack.loader import parse_stack
from understudy.stack.mistakes import Mistake, StackFileInvalid
from understudy.stack.models import Stack

RECIPIENT = "age1esdgfvaq6sr6c7hn4pzkxjequ4xur3yrq0zvxfkmjh6ntpqfv3wqpm2y04"

FIVE_KEYS = f"""\
stack: shop
repositories:
  near: {{url: file:///srv/recovery/shop}}
encryption: {{recipients: [{RECIPIENT}]}}
resources:
  orders: {{kind: postgres, url: env:ORDERS_URL}}
"""


def file_with(*, resource: str = "", top: str = "", repository: str = "url: file:///srv/recovery/shop") -> str:
    """A complete file with more lines: in the resource ``orders`` (indented by four), or at the top."""
    return f"""\
stack: shop
repositories:
  near: {{{repository}}}
encryption: {{recipients: [{RECIPIENT}]}}
resources:
  orders:
    kind: postgres
    url: env:ORDERS_URL
{resource}
{top}
"""


def load(text: str) -> Stack:
    """What loads, no editor underlines."""
    stack = parse_stack(text.encode(), "shop.yaml").stack
    assert underlined(text) == []
    return stack


def mistakes_in(text: str | bytes) -> tuple[Mistake, ...]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(StackFileInvalid) as raised:
        parse_stack(content, "shop.yaml")
    assert raised.value.code == "stack_file_invalid"
    return raised.value.mistakes


def only_mistake(text: str | bytes) -> Mistake:
    found = mistakes_in(text)
    assert len(found) == 1, [str(each) for each in found]
    return found[0]
