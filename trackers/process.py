"""`flawsmith track`: sends training jobs to the trackers that the settings name, until SIGTERM."""

import hashlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec

from flawsmith.core.live.connections import QUICK_SECONDS
from flawsmith.core.logs import configure_logging
from flawsmith.core.services import Services
from flawsmith.core.setting_values import without_credentials
from flawsmith.core.settings import Settings, get_settings
from flawsmith.core.unknown_settings import warn_of_unknown_settings
from flawsmith.trackers.follower import Follower
from flawsmith.trackers.sent_runs import SentRuns
from flawsmith.trackers.tracker import Tracker

log = logging.getLogger(__name__)

NICENESS = 19  # no job is slower for it
STOP_SECONDS = 3.0
PACKAGES = {"mlflow": "mlflow", "tensorboard": "tensorboardX"}


def wanted_trackers(settings: Settings) -> dict[str, str]:
    """The extra of each tracker that the settings name, and where it is."""
    found = {}
    if settings.mlflow_tracking_uri:
        address, *_ = without_credentials(settings.mlflow_tracking_uri)
        found["mlflow"] = f"{address}\n{settings.mlflow_experiment}"
    if settings.tensorboard_dir:
        found["tensorboard"] = str(settings.tensorboard_dir)
    return found


def missing_extras(settings: Settings) -> list[str]:
    """The extras that the trackers of the settings need and that are not installed."""
    return [each for each in wanted_trackers(settings) if find_spec(PACKAGES[each]) is None]


def run_trackers() -> int:
    """Runs until SIGTERM or SIGINT; returns the exit status."""
    settings = get_settings()
    configure_logging(settings, "track")
    warn_of_unknown_settings()
    os.nice(NICENESS)
    missing = missing_extras(settings)
    for each in missing:
        log.error("%s needs more than is installed: pip install 'flawsmith[%s]'", each, each)
    makers = {name: _MAKERS[name] for name in wanted_trackers(settings) if name not in missing}
    if not makers:
        log.error("there is no tracker to send to: set FLAWSMITH_MLFLOW_TRACKING_URI or FLAWSMITH_TENSORBOARD_DIR")
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [_start(each, stop) for each in followers(Services(settings, 0, QUICK_SECONDS), makers)]
    stop.wait()
    for thread in threads:
        thread.join(STOP_SECONDS)  # what was not sent by then is sent by the next process
    return 0


def followers(services: Services, makers: Mapping[str, Callable[[Settings], Tracker]]) -> Iterator[Follower]:
    """A follower for each tracker, as soon as it is made.

    Args:
        services: of the site.
        makers: by the extra that a tracker needs, of those that the settings name. They import its packages, which
            takes seconds: jobs that end meanwhile are sent all the same.
    """
    wanted = wanted_trackers(services.settings)
    digests = {extra: hashlib.sha256(wanted[extra].encode()).hexdigest()[:12] for extra in makers}
    runs = {extra: SentRuns(services.store, f"{extra}-{digest}") for extra, digest in digests.items()}
    for each in runs.values():
        with suppress(OSError):  # the store is away, for which the follower waits
            each.since()
    for extra, make in makers.items():
        yield Follower(make(services.settings), runs[extra], services)


def _start(follower: Follower, stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=follower.run, args=[stop], name=follower.tracker.name, daemon=True)
    thread.start()
    log.info("training jobs go to %s", follower.tracker.name)
    return thread


def _mlflow(settings: Settings) -> Tracker:
    from flawsmith.trackers.mlflow_runs import MlflowRuns

    return MlflowRuns(str(settings.mlflow_tracking_uri), settings.mlflow_experiment)


def _tensorboard(settings: Settings) -> Tracker:
    from flawsmith.trackers.event_files import EventFiles

    assert settings.tensorboard_dir
    return EventFiles(settings.tensorboard_dir)


_MAKERS: dict[str, Callable[[Settings], Tracker]] = {"mlflow": _mlflow, "tensorboard": _tensorboard}
