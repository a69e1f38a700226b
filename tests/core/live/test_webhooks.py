"""Webhooks where Redis forgets, names lead to private addresses, and receivers answer a byte at a time."""

import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import httpcore2
import pytest
import redis
from tests.conftest import until
from tests.receiver import receiver

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.webhook_targets import JobWebhook
from flawsmith.core.domain.webhooks import is_public
from flawsmith.core.live.job_repository import JobRepository
from flawsmith.core.live.webhooks.deliveries import Deliveries
from flawsmith.core.live.webhooks.events import WebhookEvents
from flawsmith.core.live.webhooks.public_connections import PrivateAddress, PublicConnections
from flawsmith.core.settings import Settings
from flawsmith.core.store.aliases import Aliases
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.webhooks import Webhooks

SECRET = f"whsec_{b64encode(bytes(32)).decode()}"


def deliveries(client: redis.Redis, store: ArtifactStore) -> tuple[Deliveries, JobRepository, Webhooks]:
    jobs, webhooks = JobRepository(client, store, [KIND]), Webhooks(store)
    settings = Settings(webhook_secrets=SECRET, webhook_private_networks="127.0.0.0/8")
    events = WebhookEvents(client, jobs, webhooks, Aliases(store))
    return Deliveries(client, events, webhooks, settings), jobs, webhooks


def cancelled_job(jobs: JobRepository, url: str) -> str:
    fields = {"model": "m", "dataset": "d", "preset": "dcgan"}
    job = KIND.new_job(config={}, progress=TrainingProgress(total_steps=1), **fields)
    jobs.create(job.changed(webhook=JobWebhook(url=url)))
    jobs.cancel(job.id)
    return job.id


@pytest.mark.parametrize("after_the_message", [False, True])
def test_a_wiped_redis_loses_no_message(empty_redis: redis.Redis, tmp_path: Path, after_the_message: bool) -> None:
    with receiver() as receiving:
        running, jobs, webhooks = deliveries(empty_redis, ArtifactStore(tmp_path))
        cancelled_job(jobs, f"{receiving.url}/hook")
        if after_the_message:
            running.events.look()
        empty_redis.flushall()
        jobs.catch_up()
        running.look()
        until(lambda: [each.state for each in webhooks.messages()] == ["delivered"], 20, "it is delivered")
        running.look()
        assert len(receiving.got) == 1


def test_a_message_goes_to_one_process_at_a_time(empty_redis: redis.Redis, tmp_path: Path) -> None:
    with receiver() as receiving:
        processes = [deliveries(empty_redis, ArtifactStore(tmp_path)) for _ in range(3)]
        for _ in range(5):
            cancelled_job(processes[0][1], f"{receiving.url}/hook")
        for running, _, _ in processes:
            running.look()
        until(lambda: [each.state for each in processes[0][2].messages()] == ["delivered"] * 5, 20, "all are delivered")
        assert len(receiving.got) == 5


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::",
     "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "ff02::1"],
)  # fmt: skip
def test_private_addresses_are_known(address: str) -> None:
    assert not is_public(address)


def test_public_addresses_are_known() -> None:
    assert all(is_public(each) for each in ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"))


def test_a_name_of_a_private_address_is_refused_when_it_is_connected_to() -> None:
    with receiver() as receiving:
        port = int(receiving.url.rpartition(":")[2])
        with pytest.raises(PrivateAddress, match="no public address"):
            PublicConnections([], 1.0).connect_tcp("localhost", port)
        PublicConnections([ip_network("127.0.0.0/8")], 1.0).connect_tcp("localhost", port).close()


@contextmanager
def dripping() -> Iterator[int]:
    """A server that answers one byte of a header every hundredth of a second, for ever; the value is its port."""
    stop = threading.Event()

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            while not stop.wait(0.01):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        stop.set()
        thread.join()


def test_a_receiver_that_answers_for_ever_is_left() -> None:
    backend = PublicConnections([ip_network("127.0.0.0/8")], 2.0)
    patient = {"timeout": {"read": 60.0}}
    with (
        dripping() as port,
        httpcore2.ConnectionPool(network_backend=backend) as pool,
        pytest.raises(httpcore2.ReadTimeout),
    ):
        pool.request("POST", f"http://127.0.0.1:{port}/", extensions=patient)
