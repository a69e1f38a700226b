"""The commands that run the service or a part of it. Each imports what it needs when it runs."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

PRIVATE_UMASK = 0o077  # files 0600, folders 0700

app = typer.Typer()


class Queue(StrEnum):
    """The queue that a worker serves."""

    TRAIN = "train"
    SAMPLE = "sample"


@app.command()
def serve() -> None:
    """Run the whole service on this machine until Ctrl-C or SIGTERM."""
    from flawsmith.cli.serve import run_service

    os.umask(PRIVATE_UMASK)
    raise typer.Exit(run_service())


@app.command("webhook-secret")
def webhook_secret() -> None:
    """Print a new secret for FLAWSMITH_WEBHOOK_SECRETS, which signs the messages of webhooks."""
    from base64 import b64encode
    from secrets import token_bytes

    print(f"whsec_{b64encode(token_bytes(32)).decode()}")


@app.command()
def api(
    require_keys: Annotated[bool, typer.Option("--require-keys", help="do not start without API keys")] = False,
    only_check: Annotated[bool, typer.Option("--check", help="check this and end")] = False,
) -> None:
    """Run the HTTP API alone. Without API keys it listens on loopback only, which in a container nobody can reach."""
    from flawsmith.app.keyring import keyring_of
    from flawsmith.core.settings import get_settings

    if require_keys and not keyring_of(get_settings()).usable:
        print(
            "the API needs a key here: set FLAWSMITH_API_KEYS=KEY:admin, where KEY is a long random word, or run"
            " `flawsmith keys create`",
            file=sys.stderr,
        )
        raise typer.Exit(2)
    if only_check:
        return
    from flawsmith.app.main import run_api

    os.umask(PRIVATE_UMASK)
    run_api()


@app.command()
def worker(queue: Queue) -> None:
    """Run one worker alone, on the queue `train` or `sample`."""
    os.umask(PRIVATE_UMASK)
    # Threads that spin while they wait for one another take cores from every other process, and on a busy machine they
    # mostly wait for a thread that has no core. OpenMP reads this once, when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from flawsmith.worker.celery import run_worker

    run_worker(queue.value)


@app.command()
def track() -> None:
    """Send training jobs to MLflow and TensorBoard, as the settings say; `flawsmith serve` does it by itself."""
    from flawsmith.trackers.process import run_trackers

    os.umask(PRIVATE_UMASK)
    raise typer.Exit(run_trackers())


@app.command()
def redis() -> None:
    """Run the embedded Redis-compatible server alone, in the data folder."""
    from flawsmith.cli.embedded_redis import become_server

    os.umask(PRIVATE_UMASK)
    become_server()


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="your own archive of photographs; default: the demo set")] = None,
    out: Annotated[Path, typer.Option(help="folder for the images")] = Path("out"),
    keep: Annotated[bool, typer.Option(help="leave the service running")] = True,
    seconds: Annotated[float, typer.Option(min=1, help="of training")] = 140.0,
) -> None:
    """Start everything, train from the prior, and make images."""
    from flawsmith.cli.demo import run_demo

    raise typer.Exit(run_demo(data, out, keep, seconds))


@app.command("demo-set")
def demo_set(
    archive: Path,
    per_type: Annotated[int, typer.Option(min=1, max=10_000, help="pictures of each defect type")] = 100,
    side: Annotated[int, typer.Option(min=32, max=1024, help="of a picture, in pixels")] = 96,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same pictures")] = 0,
) -> None:
    """Write the demonstration set (pictures of brushed steel with defects) into a zip."""
    from flawsmith.core.demo_set import write_demo_set

    write_demo_set(archive, per_type=per_type, side=side, seed=seed)
