"""The networks of namespaces that the tests of a cluster use."""

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import until
from tests.faults.network_namespaces import NAMESPACES, NetworkHost, NoNamespaces, network

SERVER = "import socket, sys; s = socket.create_server((sys.argv[1], 1)); print(flush=True); s.accept(); s.accept()"


def serve(host: NetworkHost) -> subprocess.Popen[bytes]:
    """Starts a server on port 1 of a host."""
    command = host.command(sys.executable, "-c", SERVER, host.address)
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    return process


def reach(here: NetworkHost, there: NetworkHost) -> None:
    """Connects to the server of another host. Raises OSError."""
    with here.inside():
        socket.create_connection((there.address, 1), timeout=0.5).close()


def is_reached(here: NetworkHost, there: NetworkHost) -> bool:
    """Whether `reach` succeeds now: a switch notices a little later that a cable is back."""
    with suppress(OSError):
        reach(here, there)
        return True
    return False


def is_refused(here: NetworkHost, there: NetworkHost) -> bool:
    """Whether the other host refuses; it must never accept."""
    try:
        reach(here, there)
    except ConnectionRefusedError:
        return True
    except TimeoutError:  # the switch has only just learned of the cable
        return False
    raise AssertionError(f"{there.address} accepts")


def test_hosts_reach_one_another_until_the_cable_is_pulled_and_leave_nothing_behind() -> None:
    with network(["one", "two"]) as hosts:
        process = serve(hosts["two"])
        assert process.pid in hosts["two"].pids() and hosts["one"].pids() == []
        until(lambda: is_reached(hosts["one"], hosts["two"]), 10, "the hosts reach one another")
        hosts["two"].set_link("down")
        with pytest.raises(OSError):
            reach(hosts["one"], hosts["two"])
        hosts["two"].set_link("up")
        until(lambda: is_reached(hosts["one"], hosts["two"]), 10, "the hosts reach one another again")
    process.wait(5)
    assert not any((NAMESPACES / host.namespace).exists() for host in hosts.values())


def test_two_networks_at_once_do_not_meet() -> None:
    with network(["one"]) as first, network(["one", "two"]) as second:
        assert first["one"].address == second["one"].address
        process = serve(first["one"])
        until(lambda: is_refused(second["two"], second["one"]), 10, "nothing listens there")
    process.wait(5)


def test_a_machine_without_namespaces_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoNamespaces, match="iproute2"), network(["one"]):
        pass
    (tmp_path / "ip").write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    (tmp_path / "ip").chmod(0o755)
    with pytest.raises(NoNamespaces, match="not permitted; network namespaces need root"), network(["one"]):
        pass
