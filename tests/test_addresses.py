"""Addresses as they may be stored and shown: what gives the right to read is in none of them."""

from __future__ import annotations

import copy

import pytest

from postmill.shards.runtime.addresses import is_url, plain, redacted, split
from postmill.shards.runtime.errors import PostmillError

STRIPPED = {
    "http://bob:s3cr3t@host/posts_info.zip": "http://host/posts_info.zip",
    "https://s3cr3t@host/posts_info.zip": "https://host/posts_info.zip",
    "https://host/posts_info.zip?X-Sig=s3cr3t&x=1": "https://host/posts_info.zip",
    "https://host/posts_info.zip#s3cr3t": "https://host/posts_info.zip",
    "https://host?sig=s3cr3t": "https://host",
    "HTTP://bob:s3/cr3t@host/a": "HTTP://host/a",
    "http://bob:s3?cr3t#@host/a?b": "http://host/a",
    "sftp://bob:s3cr3t@host:22/a": "sftp://host:22/a",
    "s3://key:s3cr3t@bucket/a": "s3://bucket/a",
}
KEPT = [
    "http://host:8080/a@b/c.zip",
    "http://[::1]:8080/c.zip",
    "s3://bucket/what?/a#1.zip",
    "abfs://container@account.example/a.zip",
    "/data/?/a@b#c.zip",
    "C:/data/a.zip",
]


@pytest.mark.parametrize("address", STRIPPED)
def test_what_gives_the_right_to_read_is_no_part_of_a_plain_address(address: str) -> None:
    assert plain(address) == STRIPPED[address]


@pytest.mark.parametrize("address", KEPT)
def test_what_names_the_thing_is_kept(address: str) -> None:
    assert split(address) == (address, "")
    assert is_url(address) == ("://" in address)


@pytest.mark.parametrize("address", STRIPPED)
@pytest.mark.parametrize("text", ["{}", "403, url='{}'", "see ({}), and {}.", "URL({!r}), status=403"])
def test_no_message_shows_it(address: str, text: str) -> None:
    shown = redacted(text.format(address, address))
    assert "cr3t" not in shown and "bob" not in shown and STRIPPED[address] in shown


def test_no_error_shows_it_wherever_it_stands() -> None:
    address = "http://bob:s3cr3t@host/a.zip?sig=s3cr3t"
    error = PostmillError(f"cannot read {address}", place=address, hint=f"postmill plan {address} RUN")
    for each in (error, copy.copy(error)):
        assert "s3cr3t" not in f"{each} {each!r} {each.cause} {each.place} {each.hint} {each.args}"
        assert (each.place, each.hint) == ("http://host/a.zip", "postmill plan http://host/a.zip RUN")
