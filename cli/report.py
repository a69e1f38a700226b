"""`flawsmith report`: writes the page of a version's quality report into a file, or opens it."""

import webbrowser
from pathlib import Path
from urllib.parse import quote

import httpx2

from flawsmith.cli.client import Refused
from flawsmith.core.domain.records import VerdictState


def write_report(client: httpx2.Client, reference: str, out: Path | None) -> Path:
    """Writes the page of a version's report; returns its file.

    Args:
        client: of the service.
        reference: ``scratches@2``, ``scratches@production`` or ``scratches``.
        out: the file; None: one named after the version, in the current folder.

    Raises:
        Refused: there is no such version, or its report is not there yet; the message says why.
        httpx2.TransportError: the service did not answer.
        OSError: the file cannot be written.
    """
    name, version = _version(client, reference)
    page = client.get(f"/models/{quote(name, safe='')}/versions/{version}/report.html")
    path = out or Path(f"{name}-{version}-report.html")
    path.write_bytes(page.content)
    return path


def open_page(path: Path) -> bool:
    """Opens a page in the browser of this machine; False where there is none."""
    return webbrowser.open(path.resolve().as_uri())


def _version(client: httpx2.Client, reference: str) -> tuple[str, str]:
    """Name and number of the version that a reference means. Raises Refused."""
    name, _, label = reference.partition("@")
    if label.isdecimal():
        return name, label
    model = client.get(f"/models/{quote(name, safe='')}").json()
    label = label or "production"
    if label in model["aliases"]:
        return name, str(model["aliases"][label])
    if "@" in reference:
        known = ", ".join(model["aliases"]) or "none"
        raise Refused(404, f"model '{name}' has no alias '{label}'; its aliases: {known}")
    return name, str(next((each for each in model["versions"] if _usable(client, name, each)), model["versions"][0]))


def _usable(client: httpx2.Client, name: str, version: int) -> bool:
    verdict = client.get(f"/models/{quote(name, safe='')}/versions/{version}").json()["verdict"]
    return verdict is None or verdict["state"] != VerdictState.FAILING
