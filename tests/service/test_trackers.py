"""Training jobs go to a real MLflow server and to event files that TensorBoard reads, through killed processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.conftest import SMALL_JOB, Service, free_port, photograph, start_service, stop_service, until, zipped

API = "/api/2.0/mlflow"
PASSWORD = "sesame"


class Mlflow(NamedTuple):
    """A running `mlflow server`, asked by its REST API."""

    process: subprocess.Popen[bytes]
    http: httpx2.Client

    def runs(self, job: str) -> list[dict[str, Any]]:
        """The runs of a job: one, once it has begun."""
        experiment = self.http.get(f"{API}/experiments/get-by-name", params={"experiment_name": "steel works"})
        if experiment.status_code != 200:
            return []
        body = {
            "experiment_ids": [experiment.json()["experiment"]["experiment_id"]],
            "filter": f"tags.`flawsmith.job` = '{job}'",
        }
        found: list[dict[str, Any]] = self.http.post(f"{API}/runs/search", json=body).json().get("runs", [])
        return found

    def finished(self, job: str, status: str = "FINISHED") -> dict[str, Any]:
        """The only run of a job, once it has ended and its grids are there."""

        def there() -> dict[str, Any] | None:
            [run] = self.runs(job) or [None]
            return run if run and run["info"]["status"] == status and "images" in self.files(run) else None

        return dict(until(there, 60, f"the run of {job} is {status}"))

    def curve(self, run: dict[str, Any], name: str) -> list[tuple[int, float]]:
        params = {"run_id": run["info"]["run_id"], "metric_key": name, "max_results": 10_000}
        found = self.http.get(f"{API}/metrics/get-history", params=params).json().get("metrics", [])
        return [(int(each.get("step", 0)), each["value"]) for each in found]

    def files(self, run: dict[str, Any], folder: str = "") -> list[str]:
        params = {"run_id": run["info"]["run_id"], **({"path": folder} if folder else {})}
        found = self.http.get(f"{API}/artifacts/list", params=params).json().get("files", [])
        return [each["path"] for each in found]


def start_mlflow(folder: Path) -> subprocess.Popen[bytes]:
    """Starts a server with one worker on a free port, whose number is in its arguments."""
    port = free_port()
    command: list[Any] = [Path(sys.executable).with_name("mlflow"), "server", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", f"sqlite:///{folder}/runs.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "mlflow.log").open("wb") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **settings}, start_new_session=True
        )


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Mlflow]]:
    """A service that sends to both trackers. MLflow starts meanwhile, which the service need not wait for."""
    folder = tmp_path_factory.mktemp("mlflow")
    process = start_mlflow(folder)
    address = f"127.0.0.1:{process.args[process.args.index('--port') + 1]}"  # type: ignore[union-attr,arg-type,index,operator]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "8")  # of calls to a server that is stopped
        service = start_service(
            folder / "data",
            mlflow_tracking_uri=f"http://reader:{PASSWORD}@{address}",
            mlflow_experiment="steel works",
            tensorboard_dir=str(folder / "events"),
            reports="true",
        )
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "scratches") for i in range(5)}
    assert service.upload("tracked", zipped(files)).status_code == 201
    mlflow = Mlflow(process, httpx2.Client(base_url=f"http://{address}", timeout=30))
    yield service, mlflow
    stop_service(service)
    mlflow.http.close()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def read_events(service: Service, job: dict[str, Any]) -> EventAccumulator:
    """What TensorBoard reads of a job, once there is something."""
    folder = service.data_dir.parent / "events" / job["model"] / job["id"]
    until(folder.exists, 60, f"there are events of {job['id']}")
    found = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    return found.Reload()


def kill(service: Service, *part: str) -> None:
    pid = service.pid(*part)
    assert pid, part
    os.kill(pid, signal.SIGKILL)


def test_a_run_has_settings_curves_grids_and_the_report(tracked: tuple[Service, Mlflow]) -> None:
    service, mlflow = tracked
    job = service.train("tracked", "whole", note="New lamp", tags=["line-3", "best"])
    assert (job["state"], job["note"]) == ("succeeded", "New lamp")
    card = service.client.get("/models/whole/versions/1").json()
    assert (card["note"], card["tags"]) == ("New lamp", ["line-3", "best"]), "the version begins with them"
    until(lambda: mlflow.http.get("/health").status_code == 200, 60, "MLflow has started")
    run = mlflow.finished(job["id"])
    until(lambda: "report" in mlflow.files(run), 60, "the report is there")
    run = mlflow.finished(job["id"])
    history = service.client.get(f"/training-jobs/{job['id']}/history").json()
    for name, values in history["series"].items():
        wanted = [(step, each) for step, each in zip(history["steps"], values, strict=True) if each is not None]
        assert mlflow.curve(run, f"curves/{name}") == wanted, name
    parameters = {each["key"]: each["value"] for each in run["data"]["params"]}
    assert (parameters["batch_size"], parameters["resolution"], parameters["preset"]) == ("4", "32", "dcgan")
    tags = {each["key"]: each["value"] for each in run["data"]["tags"]}
    assert (tags["mlflow.note.content"], tags["flawsmith.tags"]) == ("New lamp", "line-3, best")
    assert (run["info"]["run_name"], tags["flawsmith.version"]) == ("whole@1", "whole@1")
    assert tags["flawsmith.verdict"].startswith(job["verdict"]["state"])
    steps = service.client.get(f"/training-jobs/{job['id']}/samples").json()["steps"]
    grids = [each for each in mlflow.files(run, "images") if each.endswith(".png")]
    assert sorted(int(each.split("+step+")[1].split("+")[0]) for each in grids) == steps
    assert set(mlflow.files(run, "report")) == {"report/report.html", "report/report.json"}
    page = mlflow.http.get("/get-artifact", params={"run_id": run["info"]["run_id"], "path": "report/report.html"})
    assert page.text == service.client.get("/models/whole/versions/1/report.html").text
    metrics = {each["key"] for each in run["data"]["metrics"]}
    measures = service.client.get("/models/whole/versions/1/report").json()["measures"]
    assert {f"report/{each['name']} {each['type']}".removesuffix(" None") for each in measures} <= metrics
    everything = json.dumps(run) + service.log.read_text()
    assert PASSWORD not in everything
    assert str(service.data_dir) not in json.dumps(run)


def test_tensorboard_reads_the_same(tracked: tuple[Service, Mlflow]) -> None:
    service, _ = tracked
    job = service.train("tracked", "boarded", note="New lamp")

    def written() -> EventAccumulator | None:
        found = read_events(service, job)
        return found if any(each.startswith("report/") for each in found.Tags()["scalars"]) else None

    read = until(written, 60, "the report is written")
    history = service.client.get(f"/training-jobs/{job['id']}/history").json()
    for name, values in history["series"].items():
        wanted = {step: each for step, each in zip(history["steps"], values, strict=True) if each is not None}
        found = read.Scalars(f"curves/{name}")
        assert len(found) == len(wanted)
        assert {each.step: each.value for each in found} == pytest.approx(wanted), name
    grids = read.Images("samples")
    assert [each.step for each in grids] == service.client.get(f"/training-jobs/{job['id']}/samples").json()["steps"]
    newest = service.client.get(f"/training-jobs/{job['id']}/samples/latest.png").content
    assert grids[-1].encoded_image_string == newest
    assert {"job/text_summary", "state/text_summary", "note/text_summary"} <= set(read.Tags()["tensors"])


def test_a_job_whose_worker_and_whose_sender_are_killed_goes_on_in_its_run_while_mlflow_hangs(
    tracked: tuple[Service, Mlflow],
) -> None:
    service, mlflow = tracked
    body = {"dataset": "tracked", "model": "killed", **SMALL_JOB, "steps": 1000}
    job = service.client.post("/training-jobs", json=body).json()["id"]
    until(lambda: mlflow.runs(job) and mlflow.curve(mlflow.runs(job)[0], "curves/generator_loss"), 60, "curves")
    os.killpg(mlflow.process.pid, signal.SIGSTOP)  # connections are accepted, and nothing answers
    try:
        kill(service, "worker", "train")
        ended = service.ended(job)
        assert (ended["state"], ended["progress"]["step"]) == ("succeeded", 1000)
        assert ended["attempts"] > 1
        kill(service, "track")
    finally:
        os.killpg(mlflow.process.pid, signal.SIGCONT)
    run = mlflow.finished(job)
    assert run["info"]["run_name"] == "killed@1"
    steps = service.client.get(f"/training-jobs/{job}/history").json()["steps"]
    assert [step for step, _ in mlflow.curve(run, "curves/generator_loss")] == steps, "each of them once"

    def written() -> list[int]:
        return [each.step for each in read_events(service, ended).Scalars("curves/generator_loss")]

    until(lambda: len(written()) >= len(steps), 60, "the events are whole")
    assert written() == steps
