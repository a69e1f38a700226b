"""Sends ten times the capacity for a minute, and measures refusals, accepted requests, and the recovery.

    python -m benchmarks.serving.overload [--seconds 60] [--times 10] [--deadline-seconds 2]

The capacity is the rate of 32 clients in a closed loop, one image per request. The overload is an open loop: each
request is sent at its time, independent of earlier answers, so that slow answers do not reduce the load. At its end the
32 clients return at once, while requests that the service accepted are still in flight.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.local_service import LocalService
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.flawsmith_service import MODEL, flawsmith, one_image
from benchmarks.serving.load import Load, Outcome, finish_apart, run_apart, start_apart
from benchmarks.serving.machine import machine

CLIENTS = 32
START_SECONDS = 3.0  # for two load generators to start before the overload begins
WINDOW_SECONDS = 1.0  # over which the rate is measured after the overload
FULL_SPEED = 0.9
REFUSED_WITHIN, RECOVERED_WITHIN = 0.020, 2.0  # seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60.0, help="of overload")
    options.add_argument("--times", type=float, default=10.0, help="the capacity is sent")
    options.add_argument("--deadline-seconds", type=float, default=2.0, help="of each request")
    options.add_argument("--connections", type=int, default=2000, help="most open connections")
    options.add_argument("--calm-seconds", type=float, default=10.0, help="of the 32 clients, before and after")
    given = options.parse_args()
    _allow_files(2 * given.connections)
    with tempfile.TemporaryDirectory() as folder, flawsmith(Path(folder) / "flawsmith") as service:
        config = article_config()
        publish(service.data_dir, MODEL, save_weights(Path(folder), config), config)
        calm = replace(one_image(service), clients=CLIENTS, warm_seconds=5.0, seconds=given.calm_seconds)
        before = run_apart(calm).images_per_second
        print(machine())
        print(f"before: {before:.1f} images/s to {CLIENTS} clients", flush=True)
        burst = replace(
            one_image(service, deadline_seconds=given.deadline_seconds),
            clients=given.connections,
            rate=given.times * before,
            seconds=given.seconds,
        )
        overload, after = _overload(service, burst, replace(calm, warm_seconds=0.0))
    _print_answers(overload, burst.rate)
    sys.exit(not all(_check_all(overload, after, before, given.deadline_seconds)))


def _allow_files(wanted: int) -> None:
    """Raises the limit on open files of this process, which the service inherits."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, max(wanted, 1024)), most))


def _overload(service: LocalService, burst: Load, calm: Load) -> tuple[Outcome, Outcome]:
    """Runs the overload and then the calm load; both load generators start before the overload begins."""
    begin = time.monotonic() + START_SECONDS
    running = start_apart(replace(burst, start_at=begin))
    following = start_apart(replace(calm, start_at=begin + burst.seconds))
    return finish_apart(running), finish_apart(following)


def _print_answers(overload: Outcome, rate: float) -> None:
    sent = len(overload.status)
    print(
        f"overload: {sent} requests in {overload.window:.0f} s, {sent / overload.window:.0f}/s of {rate:.0f}/s planned"
    )
    print(f"the load generator was late by {1000 * overload.late:.0f} ms at most")
    for status, count in sorted(Counter(overload.status).items()):
        p50, p99, most = (1000 * overload.latency(share, status) for share in (0.5, 0.99, 1.0))
        name = status or "no answer"
        print(f"{name}: {count}, p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {most:.1f} ms")


def _check_all(overload: Outcome, after: Outcome, before: float, deadline: float) -> list[bool]:
    wrong = sum(status == 0 or status >= 500 for status in overload.status)
    refused, accepted = overload.latency(0.99, 429), overload.latency(0.99, 200)
    recovered = _recovery(after, before)
    print(f"after: {after.images_per_second:.1f} images/s to {CLIENTS} clients")
    return [
        _check("neither 5xx nor a broken connection", f"{wrong} of them", wrong == 0),
        _check("refused within 20 ms (p99)", f"{1000 * refused:.1f} ms", refused <= REFUSED_WITHIN),
        _check(f"accepted within {deadline:g} s (p99)", f"{accepted:.2f} s", accepted <= deadline),
        _check("full speed within 2 s after", f"{recovered:.1f} s", recovered <= RECOVERED_WITHIN),
    ]


def _check(requirement: str, measured: str, met: bool) -> bool:
    print(f"{'holds' if met else 'FAILS'}: {requirement}: {measured}")
    return met


def _recovery(after: Outcome, before: float) -> float:
    """Seconds until the first window in which the 32 clients reach 90 % of their rate before; inf if there is none."""
    ends = sorted(end for end, status in zip(after.ended, after.status, strict=True) if status == 200)
    for tenth in range(int(10 * max(0.0, after.window - WINDOW_SECONDS)) + 1):
        start = tenth / 10
        if sum(start <= end < start + WINDOW_SECONDS for end in ends) / WINDOW_SECONDS >= FULL_SPEED * before:
            return start
    return float("inf")


if __name__ == "__main__":
    main()
