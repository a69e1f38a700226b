"""Following a job: events for many watchers at once, and in the terminal."""

import asyncio
import re
import subprocess
import sys
from typing import Any

import httpx2 as httpx
from tests.conftest import SMALL_JOB, Service, photograph, until, zipped

WATCHERS = 300


def submit(service: Service, name: str, **body: Any) -> str:
    service.upload(name, zipped({f"{i}.png": photograph(500 + i) for i in range(8)}))
    answer = service.client.post("/training-jobs", json={"dataset": name, "model": name, **SMALL_JOB, **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def watched_by_many(service: Service, job: str) -> tuple[list[str], int]:
    """What each of the watchers was told, and Redis' connections while they watched.

    The job is cancelled when all of them have heard of its beginning.
    """
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=service.client.base_url, timeout=60, limits=limits) as client:
        begun = [asyncio.Event() for _ in range(WATCHERS)]

        async def watch(number: int) -> str:
            told = ""
            async with client.stream("GET", f"/training-jobs/{job}/events") as answer:
                async for text in answer.aiter_text():
                    told += text
                    if "event: progress" in told:
                        begun[number].set()
            return told

        watching = [asyncio.create_task(watch(number)) for number in range(WATCHERS)]
        await asyncio.wait_for(asyncio.gather(*(each.wait() for each in begun)), 60)
        clients = len(service.redis.client_list())
        await client.post(f"/training-jobs/{job}/cancel")
        return await asyncio.wait_for(asyncio.gather(*watching), 60), clients


def test_hundreds_watch_one_job_and_all_are_told_the_same(service: Service) -> None:
    job = submit(service, "watched-by-many", steps=100_000)
    told, clients = asyncio.run(watched_by_many(service, job))
    ids = [re.findall(r"^id: (\S+)$", text, re.M) for text in told]
    for each in ids:
        assert each == sorted(set(each), key=lambda text: [int(part) for part in text.split("-")])
        assert each == ids[0], "a watcher missed an event, or was told one twice"
    assert all('"state": "cancelled"' in text for text in told)
    # Whoever comes takes one of the API's 40 threads for a moment; watching itself takes none.
    assert clients < WATCHERS / 3, f"{clients} connections to Redis for {WATCHERS} watchers"


def test_a_bogus_last_event_id_keeps_nobody_from_the_events(service: Service) -> None:
    job = submit(service, "bogus-id", steps=100_000)
    far = {"Last-Event-ID": "9999999999999999-0"}
    with service.client.stream("GET", f"/training-jobs/{job}/events", headers=far) as ahead:
        with service.client.stream("GET", f"/training-jobs/{job}/events") as answer:
            lines = answer.iter_lines()
            assert until(lambda: next(lines) == "event: progress", 20, "progress is told")
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
        timeout=60,
        check=True,
    )
    assert "succeeded: in-the-terminal@1" in shown.stdout
