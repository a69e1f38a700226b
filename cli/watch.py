"""A training job in the terminal: a progress bar with rate and time left, losses, state."""

import time
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

POLL_SECONDS = 0.5
ENDED = ("succeeded", "failed", "cancelled")


def watch_job(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Draws the job until it ends; returns its last record."""
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
        while True:
            job = client.get(f"/training-jobs/{job_id}").json()
            progress = job["progress"]
            bar.update(
                task,
                description=job["state"],
                completed=progress["step"],
                total=progress["total_steps"],
                rate=_rate(progress),
                losses=_losses(job["losses"]),
            )
            if job["state"] in ENDED:
                break
            time.sleep(POLL_SECONDS)
    console.print(f"{job['state']}: {job['produced'] or job['error'] or job_id}")
    return dict(job)


def _rate(progress: dict[str, Any]) -> str:
    if progress["images_per_second"] is None:
        return ""
    left = int(progress["eta_seconds"] or 0)
    return f"{progress['images_per_second']:.0f} images/s {left // 60}:{left % 60:02d}"


def _losses(losses: dict[str, float]) -> str:
    """As short as the field writes them: D for the discriminator's, G for the generator's."""
    return " ".join(f"{name[0].upper()} {losses[name]:.2f}" for name in losses if name.endswith("_loss"))
