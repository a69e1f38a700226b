"""`flawsmith demo`: trains on an archive of photographs and writes synthetic images into a folder."""

import io
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from flawsmith.cli.connection import connect
from flawsmith.cli.watch import watch_job
from flawsmith.client import Client, Dataset, FlawsmithError
from flawsmith.client.errors import Conflict
from flawsmith.core.demo_set import write_demo_set
from flawsmith.core.settings import get_settings
from flawsmith.core.store.images import contact_sheet

MODEL = "demo"
IMAGES = 64
COLUMNS = 8  # on the sheet, of real and of synthetic images each
START_SECONDS = 60.0


def run_demo(data: Path | None, out: Path, keep: bool, seconds: float) -> int:
    """Starts a service unless one runs, trains, and makes images; returns the exit status.

    Args:
        data: an archive of photographs; None for the demonstration set.
        out: folder for the images.
        keep: whether a service that was started here goes on running.
        seconds: of training.
    """
    client = connect()
    service = None
    try:
        service = _start_service(client)
        dataset = _upload(client, data)
        version = _train(client, dataset, seconds)
        if version is None:
            return 1
        _make_images(client, version, dataset, out)
    except (FlawsmithError, OSError) as error:
        print(f"the demo ends here: {error}", file=sys.stderr)
        return 1
    finally:
        if service and not keep:
            service.terminate()
            service.wait()
    _print_next_steps(client, service, version, out, keep)
    return 0


def _start_service(client: Client) -> subprocess.Popen[bytes] | None:
    """Starts a service and waits until it is ready; returns None if one is running already."""
    if _ready(client):
        print(f"using the service that runs at {client.url}")
        return None
    settings = get_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    log = settings.data_dir / "serve.log"
    print(f"starting the service; its log is {log}")
    with log.open("ab") as output:
        service = subprocess.Popen(
            [sys.executable, "-P", "-m", "flawsmith.cli.main", "serve"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not _ready(client):
        if service.poll() is not None or time.monotonic() > deadline:
            service.terminate()
            raise OSError(f"the service did not start; {log} says why: {log.read_text()[-300:]}")
        time.sleep(0.2)
    return service


def _ready(client: Client) -> bool:
    try:
        return client.ready().ready
    except FlawsmithError:
        return False


def _upload(client: Client, data: Path | None) -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        archive = data or Path(folder) / "brushed-steel.zip"
        if data is None:
            write_demo_set(archive)
        name = "".join(c if c.isalnum() and c.isascii() else "-" for c in archive.name.split(".")[0]).strip("-")[:64]
        try:
            dataset = client.upload(archive, name=name or "demo")
        except Conflict:
            # An earlier demo had other photographs of this name; they stay.
            dataset = client.upload(archive, name=f"{name[:50] or 'demo'}-{secrets.token_hex(4)}")
    print(f"dataset {dataset.name}: {dataset.image_count} photographs, {dataset.classes}")
    return dataset


def _train(client: Client, dataset: Dataset, seconds: float) -> str | None:
    """Trains a version, such as ``demo@1``; returns None if the job did not succeed."""
    job = client.train(dataset, MODEL, max_seconds=seconds)
    print(f"training job {job.id}: {seconds:g} s of training")
    print(*(f"  {note}" for note in job.notes), sep="\n")
    job = watch_job(client, job.id)
    return job.produced if job.state == "succeeded" else None


def _make_images(client: Client, version: str, dataset: Dataset, out: Path) -> None:
    """Fills ``out`` with new images, a folder for each defect type, and a sheet with real beside synthetic images.

    By the version's number: so short a training may have made one that is failing, which no name serves.
    """
    images = client.generate(version, IMAGES)
    images.save(out)
    rows: dict[str, list[Image.Image]] = {}
    for each in images:
        rows.setdefault(each.defect_type, []).append(each.pil())
    preview = client.preview(dataset)
    (out / "real.png").write_bytes(preview)
    synthetic = {f"{name} (synthetic)": rows[name][:COLUMNS] for name in sorted(rows)}
    real = Image.open(io.BytesIO(preview))
    _side_by_side(real, contact_sheet(synthetic)).save(out / "sheet.png")


def _side_by_side(real: Image.Image, synthetic: Image.Image) -> Image.Image:
    """Two contact sheets side by side. The left one has more columns and is cropped to the width of the right one."""
    gap = 16
    sheet = Image.new(real.mode, (2 * synthetic.width + gap, max(real.height, synthetic.height)))
    sheet.paste(real.crop((0, 0, synthetic.width, real.height)), (0, 0))
    sheet.paste(synthetic.convert(real.mode), (synthetic.width + gap, 0))
    return sheet


def _print_next_steps(
    client: Client, service: subprocess.Popen[bytes] | None, version: str, out: Path, keep: bool
) -> None:
    print(f"\n{IMAGES} synthetic images in {out}/; real beside synthetic: {out}/sheet.png")
    if not keep:
        return
    print("The service runs on. Make more:\n")
    print(f"  curl -X POST {client.url}/generate -H 'Content-Type: application/json' \\")
    print(f'       -d \'{{"model": "{version}", "count": 16}}\' -o more.zip\n')
    if service:
        print(f"Look at it: {client.url}   Stop it: kill {service.pid}")
