"""What a caller is told where a worker made no images."""

import asyncio
import time

import pytest

from flawsmith.app.problems import Problem
from flawsmith.app.sampling.inbox import PendingRequest
from flawsmith.core.domain.addresses import Address
from flawsmith.core.live.sampling_queue import FAILURE_MARK, GONE_MARK, UNUSABLE_MARK, Subscriber

ADDRESS = Address("scratches", 1)


@pytest.mark.parametrize(
    ("mark", "status", "kind"),
    [(FAILURE_MARK, 500, "sampling-failed"), (GONE_MARK, 404, "not-found"), (UNUSABLE_MARK, 409, "conflict")],
)
def test_the_caller_is_told_why_there_are_no_images(mark: bytes, status: int, kind: str) -> None:
    async def told() -> Problem:
        pending = PendingRequest(Subscriber("caller", "inbox", "1"), "m@1", {ADDRESS}, time.monotonic() + 9)
        pending.receive(ADDRESS, mark + b"the reason")
        with pytest.raises(Problem) as raised:
            await pending.done
        return raised.value

    problem = asyncio.run(told())
    assert (problem.status, problem.kind, problem.detail) == (status, kind, "the reason")
