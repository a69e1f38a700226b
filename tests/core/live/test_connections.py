"""Connections to Redis that are lost while nobody uses them."""

import asyncio
from pathlib import Path

import pytest
import uvloop
from tests.conftest import until
from tests.faults.tcp_proxy import TcpProxy

from flawsmith.core.live.connections import connect_async
from flawsmith.core.settings import Settings


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_next_call_after_a_loss_makes_a_new_connection(redis_server: Path, loop: object) -> None:
    """An error ends the stream otherwise than a server that closes it, and each event loop says so in its own way."""

    async def scenario(proxy: TcpProxy) -> None:
        client = connect_async(Settings(data_dir=redis_server, redis_url=proxy.url))
        for _ in range(3):
            assert await client.ping()
            await asyncio.to_thread(proxy.unblock)  # resets every connection
            (idle,) = client.connection_pool._available_connections
            await asyncio.to_thread(until, idle._reader.exception, 5, "the loop has the error")
        await client.aclose()

    with TcpProxy(redis_server / "redis" / "redis.sock") as proxy, asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario(proxy))
