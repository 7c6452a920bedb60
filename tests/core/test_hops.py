"""Whose request it is, and who counts as one subscriber."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.hops import HOPS_MAX, client, is_trusted, networks, subscriber

TRUSTED = networks(["10.0.0.0/8", "2001:db8:ffff::/48"])
V6 = "2001:db8:1:2::9"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("a path", ""),
    ],
)
def test_a_subscriber_is_an_ipv4_address_or_an_ipv6_network(address: str, key: str) -> None:
    assert subscriber(address) == key


@pytest.mark.parametrize(
    ("forwarded", "found"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7", "192.0.2.7"),  # the client may write what it likes in front
        ("unknown, 192.0.2.7", "192.0.2.7"),
        ("192.0.2.7,10.0.0.1 ,\t10.2.3.4", "192.0.2.7"),
        ("10.0.0.1, 192.0.2.7, 10.0.0.1", "192.0.2.7"),
        (V6, V6),
        ("192.0.2.7:51234", "192.0.2.7"),
        (f"[{V6}]:443", V6),
        (f"[{V6}]", V6),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 2001:db8:ffff::1", "192.0.2.7"),
        ("192.0.2.7, ::ffff:10.1.1.1", "192.0.2.7"),
        ("10.0.0.1, 10.0.0.2", None),  # proxies only
        ("192.0.2.7, unknown", None),
        ("192.0.2.7, _hidden", None),
        ("192.0.2.7,", None),
        ("", None),
        ("fe80::1%eth0", None),
        ("192.0.2.007", None),
        ("192.0.2.7 192.0.2.8", None),
        ("\uff11.2.3.4", None),
        ("1.2.3.4, " * (HOPS_MAX - 1) + "192.0.2.7", "192.0.2.7"),
        ("1.2.3.4, " * HOPS_MAX + "192.0.2.7", None),
        (" " * 600 + "192.0.2.7", None),
    ],
)
def test_w_26_the_client_is_the_rightmost_hop_that_is_no_proxy(
    forwarded: str, found: str | None
) -> None:
    assert client(forwarded, TRUSTED) == found


@given(st.text(max_size=60), st.ip_addresses())
def test_whatever_a_client_writes_in_front_it_cannot_be_somebody_else(
    said: str, own: object
) -> None:
    if not is_trusted(str(own), TRUSTED):
        mapped = getattr(own, "ipv4_mapped", None)
        assert client(f"{said}, {own}", TRUSTED) in {str(mapped or own), None}


@given(st.text())
def test_no_text_is_an_error(said: str) -> None:
    assert client(said, TRUSTED) is None or subscriber(said) is not None


def test_only_networks_are_trusted_and_never_everybody() -> None:
    assert networks([]) == ()
    for wrong in ("10.0.0.1/8", "10.0.0.0/33", "proxy", "0.0.0.0/0", "::/0"):
        with pytest.raises(ValueError):
            networks([wrong])
    assert not is_trusted("10.0.0.1", ())
    assert not is_trusted("", TRUSTED)
    assert is_trusted("::ffff:10.0.0.1", TRUSTED)
