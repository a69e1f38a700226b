"""Sends the Redis commands of many concurrent requests in shared round trips."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError

Command = Callable[[Pipeline], Awaitable[Any]]


class PipelineBatcher:
    """Sends commands to Redis. Commands that arrive during a round trip share the next one.

    All of them use one connection, and the cost of each falls with their number.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._waiting: list[tuple[Command, asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def run(self, command: Command) -> Any:
        """The answer of one command. ``command`` adds it to the pipeline that it is given.

        Raises:
            RedisError: Redis refused the command, or is away.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        return await answer

    async def script(self, script: AsyncScript, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """The answer of a script, which is loaded into a server that does not have it.

        Raises:
            RedisError: the script failed, or Redis is away.
        """
        try:
            return await self.run(lambda pipe: pipe.evalsha(script.sha, len(keys), *keys, *args))
        except NoScriptError:
            await self.redis.script_load(script.script)
            return await self.run(lambda pipe: pipe.evalsha(script.sha, len(keys), *keys, *args))

    async def _send(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            try:
                async with self.redis.pipeline(transaction=False) as pipe:
                    for command, _ in waiting:
                        await command(pipe)  # which only notes it
                    results = await pipe.execute(raise_on_error=False)
            except Exception as error:
                results = [error] * len(waiting)
            for (_, answer), result in zip(waiting, results, strict=True):
                if answer.done():
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)
