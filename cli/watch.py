"""Shows a training job in the terminal: a progress bar with state, rate, time left and losses."""

import time
from typing import Any
from urllib.parse import quote

import httpx2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from flawsmith.cli.client import Refused

POLL_SECONDS = 0.5
MAX_SILENCE_SECONDS = 120.0  # of a service that is being restarted
ENDED = ("succeeded", "failed", "cancelled")


def watch_job(client: httpx2.Client, job_id: str) -> dict[str, Any]:
    """Shows the job until it ends; returns its last record. A restart of the service does not end it.

    Raises:
        Refused: there is no such job, or the key's scope does not allow to see it.
        httpx2.TransportError: the service did not answer at all, or not for `MAX_SILENCE_SECONDS` later on.
    """
    job = _read(client, job_id)
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
        _show(bar, task, job)
        answered = time.monotonic()
        while job["state"] not in ENDED:
            time.sleep(POLL_SECONDS)
            try:
                job = _read(client, job_id)
            except (httpx2.TransportError, Refused) as error:
                temporary = not isinstance(error, Refused) or error.status >= 500
                if not temporary or time.monotonic() - answered > MAX_SILENCE_SECONDS:
                    raise
                bar.update(task, description="no answer")
            else:
                answered = time.monotonic()
                _show(bar, task, job)
    for line in (f"{job['state']}: {_outcome(job)}", *_verdict(job)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return job


def _read(client: httpx2.Client, job_id: str) -> dict[str, Any]:
    """The job's record. Raises Refused, httpx2.TransportError."""
    answer = client.get(f"/training-jobs/{quote(job_id, safe='')}")
    if answer.status_code != 200 or not answer.headers.get("content-type", "").startswith("application/json"):
        raise Refused(answer.status_code, f"{answer.url} is no training job of Flawsmith; check the id and --url")
    record: dict[str, Any] = answer.json()
    return record


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
        early = {"max_seconds": "; stopped after max_seconds", "patience": "; stopped, as it no longer improved"}
        return str(job["produced"]) + early.get(job["stop_reason"], "")
    return str(job["error"] or job["id"])


def _verdict(job: dict[str, Any]) -> list[str]:
    """What the version is worth, and the name that serves it; nothing for a job without a version."""
    if not job["produced"]:
        return []
    verdict, name = job["verdict"], job["model"]
    said = [f"verdict: {verdict['state']}. {verdict['sentence']}", *verdict["reasons"]] if verdict else []
    if job["served_by_name"]:
        return [*said, f"'{name}' means {job['produced']} now"]
    return [*said, f"'{name}' does not mean {job['produced']}; ask for it by its number"]


def _rate(progress: dict[str, Any]) -> str:
    if progress["images_per_second"] is None:
        return ""
    left = int(progress["eta_seconds"] or 0)
    hours, minutes, seconds = left // 3600, left // 60 % 60, left % 60
    clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{progress['images_per_second']:.0f} images/s, {clock} left"


def _losses(losses: dict[str, float]) -> str:
    """The losses in short: D for the discriminator, G for the generator."""
    return " ".join(f"{name[0].upper()} {losses[name]:.2f}" for name in losses if name.endswith("_loss"))
