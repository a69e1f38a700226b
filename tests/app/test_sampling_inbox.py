"""The reader of a process's inbox."""

import asyncio

from flawsmith.app.background_tasks import cancel_task
from flawsmith.app.sampling.inbox import Inbox
from flawsmith.core.settings import Settings


def test_a_reader_ends_whenever_it_is_cancelled(redis_settings: Settings) -> None:
    """A cancellation while redis-py connects or waits may get lost there; a process must end all the same."""

    async def scenario() -> None:
        for number in range(200):
            task = asyncio.create_task(Inbox(redis_settings).read())
            await asyncio.sleep(number * 5e-5)
            await asyncio.wait_for(cancel_task(task), 5)
            assert task.done()

    asyncio.run(scenario())
