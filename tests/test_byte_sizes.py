"""Sizes as people write and read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcp_accessor.byte_sizes import bytes_text, parse_bytes


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500", 500),
        ("500B", 500),
        ("1.5 GB", 1_500_000_000),
        ("10gb", 10_000_000_000),
        ("20GiB", 20 * 2**30),
        (" 3 kB ", 3000),
        ("1PiB", 2**50),
    ],
)
def test_sizes_are_read_in_decimal_and_binary_units(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    "text", ["", "GB", "20 gigs", "-1", "1e3", "1,000", "٣ GB", "1.GB", "1 B B"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size; write for example 20 GB or 500 MiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (5 * 2**50, "5,120.0 TiB"),
    ],
)
def test_sizes_are_shown_in_powers_of_1024(count: int, text: str) -> None:
    assert bytes_text(count) == text


@given(st.integers(0, 2**49))
def test_what_is_shown_can_be_read_again(count: int) -> None:
    shown = bytes_text(count).replace(" bytes", "").replace(" byte", "").replace(",", "")

    assert parse_bytes(shown) == pytest.approx(count, rel=0.05)
