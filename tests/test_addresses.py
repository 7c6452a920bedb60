"""Which addresses the listeners get."""

import errno
import socket

import pytest

from gateway.addresses import AddressTakenError, port_of, reserve, url_of


def listening(port: int) -> socket.socket:
    """Return a listener as a front door opens it."""
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    door.bind(("127.0.0.1", port))
    door.listen()
    return door


def test_children_share_the_port_and_the_reservation_takes_no_connection() -> None:
    with reserve("127.0.0.1", 0, "public.port") as held:
        port = port_of(held)
        for _ in range(20):  # of two listeners the kernel would have chosen the other half the time
            with listening(port) as one, listening(port) as two:
                one.setblocking(False)
                two.setblocking(False)
                with socket.create_connection(("127.0.0.1", port), timeout=5):
                    accepted = 0
                    for door in (one, two):
                        try:
                            door.accept()[0].close()
                            accepted += 1
                        except BlockingIOError:
                            pass
                    assert accepted == 1


def test_a_reserved_port_is_refused_to_another_gateway() -> None:
    with (
        reserve("127.0.0.1", 0, "public.port") as held,
        pytest.raises(AddressTakenError, match=r"choose another operator.port"),
    ):
        reserve("127.0.0.1", port_of(held), "operator.port")


def test_a_port_that_somebody_listens_on_is_refused_even_when_they_would_share_it() -> None:
    with listening(0) as door, pytest.raises(AddressTakenError, match=r"already in use"):
        reserve("127.0.0.1", door.getsockname()[1], "public.port")


def test_a_port_can_be_taken_again_at_once_after_it_was_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = door.accept()
        served.close()  # first: its side of the connection lingers in TIME_WAIT
        client.recv(1)
        client.close()
    with socket.socket() as plain, pytest.raises(OSError) as lingering:
        plain.bind(("127.0.0.1", port))
    assert lingering.value.errno == errno.EADDRINUSE
    reserve("127.0.0.1", port, "public.port").close()


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(AddressTakenError, match=r"192.0.2.1:0 cannot be used"):
        reserve("192.0.2.1", 0, "public.port")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("gateway.example", "http://gateway.example:80"),
    ],
)
def test_the_url_can_be_opened_as_it_is_shown(host: str, url: str) -> None:
    assert url_of(host, 80) == url
