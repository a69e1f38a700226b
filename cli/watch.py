"""A training job in the terminal: a progress bar with rate and time left, losses, state."""

import time
from typing import Any

import httpx2 as httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from flawsmith.cli.client import Refused

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 120.0  # for a service that is being restarted
ENDED = ("succeeded", "failed", "cancelled")


def watch_job(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Draws the job until it ends; returns its last record. Outlasts a restart of the service.

    Raises:
        Refused: there is no such job, or the key may not see it.
        httpx.TransportError: the service was away for longer than `PATIENCE_SECONDS`.
    """
    console = Console()
    columns = [
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[losses]}"),
    ]
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("queued", total=None, rate="", losses="")
        heard = time.monotonic()
        while True:
            try:
                job = client.get(f"/training-jobs/{job_id}").json()
            except (httpx.TransportError, Refused) as error:
                away = not isinstance(error, Refused) or error.status >= 500
                if not away or time.monotonic() - heard > PATIENCE_SECONDS:
                    raise
                bar.update(task, description="no answer")
            else:
                heard = time.monotonic()
                _show(bar, task, job)
                if job["state"] in ENDED:
                    break
            time.sleep(POLL_SECONDS)
    console.print(f"{job['state']}: {_outcome(job)}")
    return dict(job)


def _show(bar: Progress, task: TaskID, job: dict[str, Any]) -> None:
    progress = job["progress"]
    bar.update(
        task,
        description=job["state"],
        completed=progress["step"],
        total=progress["total_steps"],
        rate=_rate(progress),
        losses=_losses(job["losses"]),
    )


def _outcome(job: dict[str, Any]) -> str:
    if job["produced"]:
        early = {"max_seconds": "; its max_seconds were over", "patience": "; it no longer became better"}
        return str(job["produced"]) + early.get(job["stop_reason"], "")
    return str(job["error"] or job["id"])


def _rate(progress: dict[str, Any]) -> str:
    if progress["images_per_second"] is None:
        return ""
    left = int(progress["eta_seconds"] or 0)
    hours, minutes, seconds = left // 3600, left // 60 % 60, left % 60
    clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{progress['images_per_second']:.0f} images/s, {clock} left"


def _losses(losses: dict[str, float]) -> str:
    """As short as the field writes them: D for the discriminator's, G for the generator's."""
    return " ".join(f"{name[0].upper()} {losses[name]:.2f}" for name in losses if name.endswith("_loss"))
