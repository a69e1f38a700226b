"""Every host of a cluster in turn loses its link, or dies, while callers ask for images and two jobs run.

Each host is a network namespace, so that what it loses is lost as on a cable: nobody is told. The short form is longer
than the limits after which others take over: a lease and a heartbeat, 6 s each.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest

from flawsmith.client import Client, Job
from tests.conftest import photograph, until, zipped
from tests.faults.cluster import BUSY_SECONDS, ENDED, JOB
from tests.faults.cluster_of_hosts import (
    APIS,
    CLIENT,
    KEY,
    REDIS,
    SAMPLERS,
    SERVICE,
    STORE,
    TRAINERS,
    ClusterOfHosts,
)
from tests.faults.conftest import PrintFigure, steps_in
from tests.faults.load_on_two_apis import ImageLoad, JobLoad, Load, Served, running
from tests.faults.network_namespaces import NoNamespaces, network
from tests.faults.two_apis import Attempt, AttemptLog, Callers, longest_pause, outcomes

LEFT_OVER_SECONDS = 25.0  # after a fault, in which a caller may still meet a connection from before it
PHOTOGRAPHS = 12  # few, so that the verdicts of the jobs take little of the machine
SAME_BYTES = 16  # served images that are asked for again by address
MODEL = "reference@1"


@dataclass(frozen=True)
class Fault:
    """A host loses its link or dies, for some seconds."""

    host: str
    kind: Literal["loses its link", "dies"]
    seconds: float


SHORT = (
    Fault(REDIS, "loses its link", 8),
    Fault(TRAINERS[0], "loses its link", 8),
    Fault(STORE, "loses its link", 6),
    Fault(APIS[0], "dies", 1),
    Fault(SAMPLERS[0], "dies", 1),
)
FULL = (
    *(Fault(host, "loses its link", 60) for host in SERVICE),
    *(Fault(host, "dies", 10) for host in SERVICE if host != STORE),  # the S3 server has everything in memory
)


@dataclass
class Site:
    """A cluster with its callers and their log.

    ``client`` uses both APIs, each of ``probes`` one; ``outcome`` is that of a job which nothing disturbed.
    """

    cluster: ClusterOfHosts
    callers: Callers
    client: httpx2.Client
    probes: list[httpx2.Client]
    steps: int
    outcome: tuple[str, str] = ("", "")

    def submit(self, client: Client, model: str) -> Job:
        options = {name: value for name, value in JOB.items() if name != "dataset"}
        return client.train("steel", model, steps=self.steps, **options)

    def job(self, job: str) -> dict[str, Any]:
        return dict(self.client.get(f"/training-jobs/{job}").raise_for_status().json())

    def outcome_of(self, job: str) -> tuple[str, str]:
        """The digest of the published weights, and the history: equal for jobs of the same configuration."""
        model, _, version = self.job(job)["produced"].partition("@")
        card = self.client.get(f"/models/{model}/versions/{version}").raise_for_status().json()
        return card["weights_sha256"], self.client.get(f"/training-jobs/{job}/history").raise_for_status().text

    def whole(self) -> bool:
        """Whether both APIs are ready and every worker is live."""
        if any(each.get("/readyz").status_code != 200 for each in self.probes):
            return False
        targets = self.client.get("/metrics/targets").raise_for_status().json()
        workers = [each["labels"]["worker"] for each in targets]
        wanted = {*TRAINERS, *SAMPLERS}
        return len(workers) >= len(wanted) and {*self.cluster.hosts_of(workers)} >= wanted


@pytest.fixture
def site(tmp_path: Path, full_length: bool) -> Iterator[Site]:
    """A cluster that has trained the first job, ``reference``, from the dataset ``steel``."""
    try:
        with network([*SERVICE, CLIENT]) as hosts:
            cluster = ClusterOfHosts(hosts, tmp_path, segment_seconds="3")
            callers = Callers(hosts[CLIENT], {api: hosts[api].address for api in APIS}, AttemptLog())
            with ExitStack() as opened:
                client, *probes = (
                    opened.enter_context(each.http()) for each in (callers, *(callers.only(api) for api in APIS))
                )
                site = Site(cluster, callers, client, probes, steps_in(30 if full_length else 3))
                try:
                    _begin(site)
                    yield site
                finally:
                    cluster.kill()
                    print(cluster.logs())  # which pytest shows if the test failed
    except NoNamespaces as error:
        missing = str(error)
    else:
        return
    pytest.fail(missing, pytrace=False)


def _begin(site: Site) -> None:
    site.cluster.start()
    until(site.whole, 60, "the cluster is whole")
    photographs = zipped({f"{i}.png": photograph(3000 + i) for i in range(PHOTOGRAPHS)})
    site.client.post("/datasets", data={"name": "steel"}, files={"archive": photographs}).raise_for_status()
    with Client("http://cluster", KEY, transport=site.callers.transport()) as client:
        job = client.wait(site.submit(client, MODEL.partition("@")[0]))
    site.outcome = site.outcome_of(job.id)
    assert site.callers.log.violations == []
    site.callers.log.attempts.clear()  # of APIs that did not listen yet


def test_a_cluster_outlives_every_host(site: Site, full_length: bool, print_figure: PrintFigure) -> None:
    served, begun = Served(), time.monotonic()
    callers = [ImageLoad(site.callers, api, MODEL, served) for api in APIS]
    jobs = [JobLoad(site.callers, api, f"beside-{api}", site.submit) for api in APIS]
    loads: list[Load] = [*callers, *jobs]
    disturbed = list[Disturbed]()
    with running(loads):
        for fault in FULL if full_length else SHORT:
            assert all(each.error is None for each in loads), [each.error for each in loads]
            disturbed.append(_disturb(site, fault, jobs, print_figure))
    attempts = site.callers.log.during(begun, time.monotonic(), "/generate")
    submitted = {job for each in jobs for job in each.jobs}
    print_figure(
        f"{len(disturbed)} faults in {time.monotonic() - begun:.0f} s: {len(submitted)} jobs, {len(served.digests)}"
        f" images, {len(attempts)} requests for images: {outcomes(attempts)}"
    )
    assert served.twice == []
    assert site.callers.log.violations == []
    assert _unexplained(site.callers.log.unanswered(), disturbed) == []
    _assert_no_job_lost(site, submitted)
    _assert_same_bytes(site, served)


@dataclass(frozen=True)
class Disturbed:
    """When a fault began and when its host was up again, on the monotonic clock."""

    fault: Fault
    begun: float
    ended: float


def _disturb(site: Site, fault: Fault, jobs: list[JobLoad], print_figure: PrintFigure) -> Disturbed:
    """Has a fault happen; returns once images are served, both jobs go on and the cluster is whole again."""
    host, is_cut = site.cluster.hosts[fault.host], fault.kind == "loses its link"
    until(lambda: _both_run(site, jobs, fault.host), BUSY_SECONDS, "two jobs run")
    trained = [job for job, at in _trained_on(site, jobs).items() if at == fault.host]
    begun = time.monotonic()
    (host.lose_link if is_cut else host.die)()
    for job in trained:
        until(partial(_goes_on_elsewhere, site, job, fault.host), BUSY_SECONDS, f"another host has {job}")
    taken_over = f"another host trained after {time.monotonic() - begun:.1f} s; " if trained else ""
    time.sleep(max(0.0, fault.seconds - (time.monotonic() - begun)))
    (host.regain_link if is_cut else host.boot)()
    returned = time.monotonic()
    resumed = _wait_for_recovery(site, jobs, returned)
    attempts = site.callers.log.during(begun, time.monotonic(), "/generate")
    _assert_felt(fault.host, attempts)
    errors = [each.seconds for each in attempts if each.outcome != "200"]
    print_figure(
        f"{fault.host} {fault.kind} for {returned - begun:.0f} s: {outcomes(attempts)}; longest time without an image"
        f" {longest_pause(attempts, begun, time.monotonic()):.1f} s, slowest error {max(errors, default=0):.1f} s;"
        f" longest time without a step of a job {max(each.longest_pause(begun) for each in jobs):.1f} s; {taken_over}"
        f"then {', '.join(f'{name} after {seconds:.1f} s' for name, seconds in resumed.items())}"
    )
    return Disturbed(fault, begun, returned + resumed["all hosts"])


def _assert_felt(host: str, attempts: list[Attempt]) -> None:
    """The fault reached the callers where it has to: else the test would show nothing."""
    if host in APIS:
        assert any(each.unanswered and each.host == host for each in attempts), outcomes(attempts)
    elif host in (REDIS, STORE):
        assert any(each.outcome in ("503", "504") for each in attempts), outcomes(attempts)  # 504: it waited before


def _trained_on(site: Site, jobs: list[JobLoad]) -> dict[str, str | None]:
    """The host that trains each of the jobs which are being trained."""
    records = [site.job(each.current.id) for each in jobs if each.current]
    running = {
        each["id"]: each["worker"] for each in records if each["state"] == "running" and each["progress"]["step"]
    }
    return dict(zip(running, site.cluster.hosts_of(running.values()), strict=True))


def _both_run(site: Site, jobs: list[JobLoad], host: str) -> bool:
    """Whether both jobs are being trained, and if this is a training host, one of them there."""
    trained_on = _trained_on(site, jobs)
    return len(trained_on) == len(jobs) and (host not in TRAINERS or host in trained_on.values())


def _goes_on_elsewhere(site: Site, job: str, host: str) -> bool:
    """Whether another host than this one trains the job, or has ended it."""
    record = site.job(job)
    return record["state"] in ENDED or site.cluster.hosts_of([record["worker"]]) not in ([host], [None])


def _wait_for_recovery(site: Site, jobs: list[JobLoad], returned: float) -> dict[str, float]:
    """Seconds until images are served, both jobs go on, and every host is up."""
    seen = [each.current for each in jobs if each.current]

    def images_are_served() -> bool:
        found = site.callers.log.during(returned, time.monotonic(), "/generate")
        return any(each.outcome == "200" for each in found)

    def jobs_go_on() -> bool:
        now = [site.job(each.id) for each in seen]
        return all(
            record["state"] in ENDED or record["progress"]["step"] != before.progress.step
            for record, before in zip(now, seen, strict=True)
        )

    return _times({"images": images_are_served, "jobs": jobs_go_on, "all hosts": site.whole}, returned)


def _times(conditions: dict[str, Callable[[], bool]], since: float) -> dict[str, float]:
    """The seconds after which each condition was true for the first time. Waits for all of them."""
    found = dict[str, float]()

    def look() -> bool:
        for name, condition in conditions.items():
            if name not in found:
                with suppress(httpx2.HTTPError):
                    if condition():
                        found[name] = time.monotonic() - since
        return len(found) == len(conditions)

    until(look, BUSY_SECONDS, f"{', '.join(conditions)} are back")
    return found


def _unexplained(unanswered: list[Attempt], disturbed: list[Disturbed]) -> list[Attempt]:
    """Requests without an answer, to an API that was neither cut off nor dead."""

    def explained(attempt: Attempt) -> bool:
        return any(
            each.fault.host == attempt.host
            and each.begun <= attempt.ended
            and attempt.ended - attempt.seconds <= each.ended + LEFT_OVER_SECONDS
            for each in disturbed
        )

    return [each for each in unanswered if not explained(each)]


def _assert_no_job_lost(site: Site, submitted: set[str]) -> None:
    """All ended as if nothing had happened, and there is no other."""
    records, cursor = list[dict[str, Any]](), ""
    while cursor is not None:
        page = site.client.get("/training-jobs", params={"limit": 100, **({"cursor": cursor} if cursor else {})}).json()
        records, cursor = records + page["items"], page["next_cursor"]
    assert {each["id"] for each in records if each["model"] != MODEL.partition("@")[0]} == submitted
    assert {each["state"] for each in records} == {"succeeded"}
    assert {site.outcome_of(job) for job in submitted} == {site.outcome}


def _assert_same_bytes(site: Site, served: Served) -> None:
    step = max(1, len(served.digests) // SAME_BYTES)
    for (model, defect_type, seed), digest in islice(served.digests.items(), 0, None, step):
        name, _, version = model.partition("@")
        path = f"/models/{name}/versions/{version}/images/{seed}.png"
        answer = site.client.get(path, params={"defect_type": defect_type}).raise_for_status()
        assert sha256(answer.content).hexdigest() == digest, path
