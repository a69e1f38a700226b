"""Measures the page at `/` with long lists: time to interaction, and the heap of its scripts, in chromium.

    python -m benchmarks.page [--models 1000] [--jobs 10000]

It fills a service with models and finished jobs, and one of the jobs with 1,000 recorded steps and 50 sample grids. For
each view it opens the page anew and prints how long it takes until what the view is for can be used: its rows or
controls are there and a frame was drawn. The heap is V8's after a garbage collection. Needs Debian's chromium and
Playwright.
"""

import argparse
import io
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from benchmarks.noise_photographs import noise_archive
from benchmarks.serving.catalogue import Catalogue
from benchmarks.serving.flawsmith_service import flawsmith
from benchmarks.serving.machine import machine
from flawsmith.core.live.connections import connect
from flawsmith.core.live.job_history import JobHistory
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.job_folder import JobFolder

MOST_SECONDS, MOST_BYTES = 1.0, 60_000_000
POINTS, GRIDS = 1000, 50
OPENED = 3  # times; the median counts
PATIENCE = 60_000  # milliseconds
SERIES = ("discriminator_loss", "generator_loss", "distance", "defect_distance", "diversity")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--models", type=int, default=1000)
    options.add_argument("--jobs", type=int, default=10_000)
    given = options.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, flawsmith(Path(folder) / "flawsmith") as service:
        catalogue = Catalogue(service, Path(folder))
        service.upload("steel", noise_archive(5))
        catalogue.fill(given.models, 1, given.jobs)
        job = service.client.get("/training-jobs", params={"limit": 1}).json()["items"][0]["id"]
        write_history(service.data_dir, job)
        views = {
            "jobs": "tbody tr:nth-child(50) input",
            f"jobs/{job}": "input[type=range]",
            "models": "tbody tr:nth-child(100) a",
            "gallery": "button.primary",
            "": ".cards li a",
        }
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
            measured = {view: opened(browser, f"{service.client.base_url}#/{view}", at) for view, at in views.items()}
    print(f"{'view':<32}{'seconds':>9}{'heap, MB':>10}")
    for view, (seconds, heap) in measured.items():
        print(f"/#/{view.replace(job, 'JOB'):<29}{seconds:9.2f}{heap / 1e6:10.1f}")
    sys.exit(any(seconds > MOST_SECONDS or heap > MOST_BYTES for seconds, heap in measured.values()))


def opened(browser: Browser, url: str, usable: str) -> tuple[float, int]:
    """The median seconds until the selector ``usable`` is there and drawn, and the largest heap, in bytes."""
    seconds, heaps = [], []
    for _ in range(OPENED):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        begun = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector(usable, timeout=PATIENCE)
        page.evaluate("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
        seconds.append(time.perf_counter() - begun)
        page.wait_for_load_state("networkidle", timeout=PATIENCE)
        session = context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        heaps.append(int(session.send("Runtime.getHeapUsage")["usedSize"]))
        context.close()
    return sorted(seconds)[len(seconds) // 2], max(heaps)


def write_history(data_dir: Path, job: str) -> None:
    """Gives a job 1,000 recorded steps and 50 sample grids of 8 x 8 images with 64 px."""
    store = ArtifactStore(data_dir / "artifacts")
    random = np.random.default_rng(0)
    values = np.cumsum(random.normal(0, 0.1, (POINTS, len(SERIES))), 0)
    points = [{"step": step + 1, **dict(zip(SERIES, row.tolist(), strict=True))} for step, row in enumerate(values)]
    JobHistory(connect(Settings(data_dir=data_dir)), store).record(job, points)
    folder = JobFolder(store, job)
    folder.samples.mkdir(parents=True, exist_ok=True)
    for number in range(GRIDS):
        grid = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (512, 512), np.uint8)).save(grid, "PNG")
        folder.sample(1 + number * POINTS // GRIDS).write_bytes(grid.getvalue())


if __name__ == "__main__":
    main()
