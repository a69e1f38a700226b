"""Hosts on this machine: network namespaces that share a switch, and whose cables a test can pull."""

import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAMESPACES = Path("/var/run/netns")  # where `ip netns` names them
NETWORK = "10.77.0"  # each switch has it for itself
CLONE_NEWNET = 0x40000000  # linux/sched.h
KILLED_WITHIN = 20.0  # seconds

_libc = ctypes.CDLL(None, use_errno=True)


class NoNamespaces(Exception):
    """This machine makes no network namespaces; the message says what is missing."""


@dataclass(frozen=True)
class NetworkHost:
    """A network namespace with a loopback, and a cable to the switch.

    Attributes:
        namespace: its name for `ip netns`.
        address: of the host, in the network of its switch.
        switch: the namespace of the switch.
        port: the switch's end of the cable.
    """

    namespace: str
    address: str
    switch: str
    port: str

    def command(self, *words: str) -> list[str]:
        """The command that runs another one on this host, until the thread that starts it ends."""
        return ["ip", "netns", "exec", self.namespace, "setpriv", "--pdeathsig", "KILL", *words]

    def set_link(self, state: Literal["up", "down"]) -> None:
        """Pulls the cable or plugs it in again. No connection is closed: packets are lost, and nobody is told."""
        _ip("-n", self.switch, "link", "set", self.port, state)

    def pids(self) -> list[int]:
        """The processes that run on this host."""
        return list(map(int, _ip("netns", "pids", self.namespace).split()))

    def kill_processes(self) -> None:
        """Kills them all, and waits until there is none. Their parents have to reap them."""
        deadline = time.monotonic() + KILLED_WITHIN
        while pids := self.pids():
            assert time.monotonic() < deadline, f"{pids} of {self.namespace} cannot be killed"
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread opens meanwhile are the host's. Other threads stay where they are."""
        with Path("/proc/thread-self/ns/net").open() as before, (NAMESPACES / self.namespace).open() as here:
            _enter(here.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())


@contextmanager
def network(names: Sequence[str]) -> Iterator[dict[str, NetworkHost]]:
    """Hosts with these names, on one switch, until the block ends; then their processes are killed.

    The switch is in a namespace of its own, so nothing of the machine's own network changes, and several networks, of
    this process or of others, do not meet.

    Raises:
        NoNamespaces: they cannot be made.
    """
    if not shutil.which("ip"):
        raise NoNamespaces("network namespaces need the command ip, of the package iproute2, which is not here")
    name = f"flawsmith-{os.getpid()}-{secrets.token_hex(3)}"
    switch, hosts = f"{name}-switch", dict[str, NetworkHost]()
    with ExitStack() as removal:
        _add_namespace(switch, removal)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        for number, each in enumerate(names, 1):
            host = NetworkHost(f"{name}-{each}", f"{NETWORK}.{number}", switch, f"port-{number}")
            _add_namespace(host.namespace, removal)
            removal.callback(host.kill_processes)
            _connect(host)
            hosts[each] = host
        yield hosts


def _add_namespace(name: str, removal: ExitStack) -> None:
    _ip("netns", "add", name)
    removal.callback(_ip, "netns", "delete", name)
    _ip("-n", name, "link", "set", "lo", "up")


def _connect(host: NetworkHost) -> None:
    peer = ("type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    _ip("-n", host.switch, "link", "add", host.port, *peer)
    _ip("-n", host.switch, "link", "set", host.port, "master", "switch")
    _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip("-n", host.namespace, "link", "set", "eth0", "up")
    host.set_link("up")


def _ip(*words: str) -> str:
    """Runs `ip`; returns its output. Raises NoNamespaces if it fails."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNamespaces(
            f"`ip {' '.join(words)}` failed: {done.stderr.strip()}; network namespaces need root, and in a container"
            " the capabilities SYS_ADMIN and NET_ADMIN"
        )
    return done.stdout


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
