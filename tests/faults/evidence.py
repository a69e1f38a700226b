"""What the logs and the artifact store say about who trained and published for a job."""

import hashlib
import re

from tests.faults.cluster import Cluster


def published_digests(cluster: Cluster, job: str, model: str) -> dict[str, str]:
    """The SHA-256 of every file that a job has published: checkpoints, sample grids and model versions."""
    artifacts = cluster.service.data_dir / "artifacts"
    folders = [
        artifacts / "jobs" / job / "checkpoints",
        artifacts / "jobs" / job / "samples",
        artifacts / "models" / model,
    ]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def times_abandoned(cluster: Cluster, job: str) -> int:
    """How often a worker found that it had lost the job, and stopped training it."""
    return sum(len(re.findall(rf"{job}.* leaving it", log)) for log in cluster.logs())


def times_claimed(cluster: Cluster, job: str) -> int:
    """How often a worker began a segment of the job."""
    return sum(f"job {job}: claim" in line for log in cluster.logs() for line in log.splitlines())


def assert_one_writer_at_a_time(cluster: Cluster, job: str) -> None:
    """No worker saved a checkpoint of the job after another worker had claimed it, by the times in the logs."""
    events = []
    for worker, log in enumerate(cluster.logs()):
        pattern = rf"^(?:train +\| )?(\S+ \S+) .*job {job}: (claim|checkpoint at step)"
        events += [(when, worker, what) for when, what in re.findall(pattern, log, re.M)]
    assert any(what == "claim" for _, _, what in events), "there is no claim in the logs"
    holder = None
    for when, worker, what in sorted(events):
        if what == "claim":
            holder = worker
        assert worker == holder, f"{when}: a worker that had lost the job saved a checkpoint"
