"""Sizes as people read them."""

import pytest

from understudy.vocabulary.sizes import readable_size


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (16 * 2**20, "16.0 MiB"),
        (3 * 2**40, "3.0 TiB"),
        (5 * 2**50, "5120.0 TiB"),
    ],
)
def test_sizes_read_in_the_unit_that_fits(size_bytes, words):
    assert readable_size(size_bytes) == words
