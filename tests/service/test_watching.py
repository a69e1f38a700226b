"""Following a job: events for many subscribers at once, and in the terminal."""

import asyncio
import re
import subprocess
import sys
from typing import Any

import httpx2
from tests.conftest import PATIENCE, SMALL_JOB, Service, photograph, until, zipped

SUBSCRIBERS = 300


def submit(service: Service, name: str, **body: Any) -> str:
    service.upload(name, zipped({f"{i}.png": photograph(500 + i) for i in range(8)}))
    answer = service.client.post("/training-jobs", json={"dataset": name, "model": name, **SMALL_JOB, **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def events_of_many(service: Service, job: str) -> tuple[list[str], int]:
    """The text that each subscriber received, and how many connections Redis had meanwhile.

    The job is cancelled once all of them have received its progress.
    """
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=service.client.base_url, timeout=60, limits=limits) as client:
        begun = [asyncio.Event() for _ in range(SUBSCRIBERS)]

        async def subscribe(number: int) -> str:
            received = ""
            async with client.stream("GET", f"/training-jobs/{job}/events") as answer:
                async for text in answer.aiter_text():
                    received += text
                    if "event: progress" in received:
                        begun[number].set()
            return received

        subscriptions = [asyncio.create_task(subscribe(number)) for number in range(SUBSCRIBERS)]
        await asyncio.wait_for(asyncio.gather(*(each.wait() for each in begun)), 60 * PATIENCE)
        clients = len(service.redis.client_list())
        await client.post(f"/training-jobs/{job}/cancel")
        return await asyncio.wait_for(asyncio.gather(*subscriptions), 60 * PATIENCE), clients


def test_hundreds_of_subscribers_receive_the_same_events(service: Service) -> None:
    job = submit(service, "watched-by-many", steps=100_000)
    received, clients = asyncio.run(events_of_many(service, job))
    ids = [re.findall(r"^id: (\S+)$", text, re.M) for text in received]
    for each in ids:
        assert each == sorted(set(each), key=lambda text: [int(part) for part in text.split("-")])
        assert each == ids[0], "a subscriber missed an event, or received one twice"
    assert all('"state": "cancelled"' in text for text in received)
    # A new subscription needs one of the API's 40 threads for a moment; after that it needs none.
    assert clients < SUBSCRIBERS / 3, f"{clients} connections to Redis for {SUBSCRIBERS} subscribers"


def test_a_last_event_id_from_the_future_disturbs_no_other_subscriber(service: Service) -> None:
    job = submit(service, "bogus-id", steps=100_000)
    far = {"Last-Event-ID": "9999999999999999-0"}
    with service.client.stream("GET", f"/training-jobs/{job}/events", headers=far) as ahead:
        with service.client.stream("GET", f"/training-jobs/{job}/events") as answer:
            lines = answer.iter_lines()
            assert until(lambda: next(lines) == "event: progress", 20, "progress arrives")
            service.client.post(f"/training-jobs/{job}/cancel")
            assert any('"state": "cancelled"' in line for line in lines)
        assert "data:" not in ahead.read().decode()


def test_the_terminal_shows_a_job_until_its_end(service: Service) -> None:
    job = submit(service, "in-the-terminal")
    shown = subprocess.run(
        [sys.executable, "-m", "flawsmith.cli.main", "watch", job],
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=60 * PATIENCE,
        check=True,
    )
    assert "succeeded: in-the-terminal@1" in shown.stdout
