"""Whether anything listens where a connection string points to, told by the kernel of that host and not by the server."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from understudy.ports.database import Presence

_PATIENCE_SECONDS = 5.0
_DEFAULT_PORT = "5432"


def presence(parameters: Mapping[str, str]) -> Presence:
    """``LISTENING`` when any of the named places takes a connection; ``NOBODY`` only when each refuses it.

    Where the connection string names no host (a service file or the environment may), nothing can be told: ``UNKNOWN``.
    """
    patience = patience_seconds(parameters)
    seen = [_knock(place, patience) for place in _places(parameters)]
    if Presence.LISTENING in seen:
        return Presence.LISTENING
    return Presence.NOBODY if seen and all(each is Presence.NOBODY for each in seen) else Presence.UNKNOWN


def patience_seconds(parameters: Mapping[str, str]) -> float:
    """How long each place may take to answer: the connection string's ``connect_timeout``, where that sets one.

    For libpq 0 means for ever; who looks whether a host is gone has to come to an end.
    """
    named = parameters.get("connect_timeout", "").strip()
    return float(named) if named.isascii() and named.isdigit() and int(named) > 0 else _PATIENCE_SECONDS


def leads_here(parameters: Mapping[str, str], port: int) -> bool:
    """Whether one of the named places is this port of this host. A name that nobody knows is not here.

    Where no host is named (a service file or the environment may name one), it is taken for here.
    """
    places = list(_places(parameters))
    return not places or any(_is_here(place, port) for place in places)


def _is_here(place: str | tuple[str, int], port: int) -> bool:
    if isinstance(place, str):
        return place.endswith(f".s.PGSQL.{port}")
    host, its_port = place
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM) if its_port == port else []
    except OSError:
        return False
    return any(_is_ours(family, address) for family, _, _, _, address in found)


def _is_ours(family: socket.AddressFamily, address: tuple[object, ...]) -> bool:
    """Only a host's own addresses can be bound to."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as bound:
            bound.bind((address[0], 0, *address[2:]))
    except OSError:
        return False
    return True


def _places(parameters: Mapping[str, str]) -> Iterator[str | tuple[str, int]]:
    """Socket paths, and pairs of host and port, as libpq would try them."""
    named = parameters.get("hostaddr") or parameters.get("host")
    if not named or "service" in parameters:
        return
    ports = parameters.get("port", "").split(",")
    for number, host in enumerate(named.split(",")):
        port = (ports[number] if number < len(ports) else ports[-1]) or _DEFAULT_PORT
        yield f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, int(port))


def _knock(place: str | tuple[str, int], patience: float) -> Presence:
    try:
        if isinstance(place, str):
            with socket.socket(socket.AF_UNIX) as knocking:
                knocking.settimeout(patience)
                knocking.connect(place)
        else:
            socket.create_connection(place, patience).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return Presence.NOBODY
    except OSError:
        return Presence.UNKNOWN
    return Presence.LISTENING
