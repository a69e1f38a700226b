"""The files in deploy/k8s: against the published schemas, against one another, and against what the code does."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from flawsmith.core.settings import Settings
from tests.deploy.kustomize import Resource, build, containers, documents, pod_of
from tests.deploy.prometheus_server import DEPLOY, names_in, need_prometheus

ROOT = DEPLOY.parent
K8S = DEPLOY / "k8s"
OVERLAYS = sorted((K8S / "overlays").iterdir())
GPU = K8S / "components" / "gpu"
VERSIONS = ("1.31", kubernetes_validate.latest_version())
SCALED_OBJECT = json.loads((Path(__file__).parent / "schemas" / "scaled_object.json").read_text())
MARGIN = 4  # seconds that a process has to exit, beyond those that it takes to stop
FIXED = {"REDIS_PASSWORD": "sesame"}


@pytest.fixture(params=OVERLAYS, ids=lambda folder: folder.name)
def site(request: pytest.FixtureRequest) -> list[Resource]:
    """The resources of an overlay."""
    return build(request.param)


def named(site: list[Resource], kind: str) -> dict[str, Resource]:
    return {each["metadata"]["name"]: each for each in site if each["kind"] == kind}


def workloads(site: list[Resource]) -> dict[str, Resource]:
    return named(site, "Deployment") | named(site, "StatefulSet")


def labels_of_pods(workload: Resource) -> dict[str, str]:
    return dict(workload["spec"]["template"]["metadata"]["labels"])


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector matches."""
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def environment(container: Resource) -> dict[str, str]:
    """Name -> value, as far as the manifest has it; `sesame` for a secret."""
    found = dict[str, str]()
    for each in container["env"]:
        value = each.get("value", "10.0.0.1" if "fieldRef" in each.get("valueFrom", {}) else "sesame")
        found[each["name"]] = re.sub(r"\$\((\w+)\)", lambda name: found[name[1]], value)
    return found


def test_every_file_is_part_of_a_site() -> None:
    used = {path for folder in (K8S / "base", GPU, *OVERLAYS) for path in _files(folder)}
    assert used == {path for path in K8S.rglob("*") if path.is_file()}


def _files(folder: Path) -> Iterator[Path]:
    yield folder / "kustomization.yaml"
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in [*kustomization.get("resources", []), *(each["path"] for each in kustomization.get("patches", []))]:
        if (folder / name).is_file():
            yield folder / name


def _has_kustomize() -> bool:
    """Whether kubectl is there with a kustomize that knows components, unlike Debian's."""
    if not (kubectl := shutil.which("kubectl")):
        return False
    done = subprocess.run([kubectl, "version", "--client", "--output", "json"], capture_output=True)
    return done.returncode == 0 and str(json.loads(done.stdout).get("kustomizeVersion", "")) >= "v4"


if _has_kustomize():

    @pytest.mark.parametrize("folder", OVERLAYS, ids=lambda folder: folder.name)
    def test_kubectl_builds_the_same(folder: Path) -> None:
        done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=True)

        def identity(resource: Resource) -> tuple[str, str]:
            return resource["kind"], resource["metadata"]["name"]

        assert sorted(yaml.safe_load_all(done.stdout), key=identity) == sorted(build(folder), key=identity)


def test_every_resource_is_as_its_schema_says(site: list[Resource]) -> None:
    for resource in site:
        if resource["kind"] == "ScaledObject":
            jsonschema.validate(resource, SCALED_OBJECT)
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("Deployment", {"replica": 2}), ("ScaledObject", {"cooldown": 1}), ("PodDisruptionBudget", {"minAvailable": []})],
)
def test_the_schemas_refuse_what_is_wrong(kind: str, wrong: dict[str, Any]) -> None:
    resource = next(each for each in build(OVERLAYS[0]) if each["kind"] == kind)
    resource["spec"] |= wrong
    with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError)):
        test_every_resource_is_as_its_schema_says([resource])


def test_names_are_given_once_and_every_part_is_labelled(site: list[Resource]) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in site]
    assert len(set(names)) == len(names)
    for resource in site:
        labels = resource["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "flawsmith"
        assert labels["app.kubernetes.io/name"] == resource["metadata"]["name"]


def test_selectors_and_targets_find_pods(site: list[Resource]) -> None:
    found = workloads(site)
    for name, workload in found.items():
        assert selects(workload["spec"]["selector"], labels_of_pods(workload)), name
    pods = [labels_of_pods(each) for each in found.values()]
    for service in named(site, "Service").values():
        assert sum(service["spec"]["selector"].items() <= each.items() for each in pods) == 1
    for budget in named(site, "PodDisruptionBudget").values():
        assert sum(selects(budget["spec"]["selector"], each) for each in pods) == 1
    for policy in named(site, "NetworkPolicy").values():
        assert any(selects(policy["spec"]["podSelector"], each) for each in pods)
        for way in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
            for peer in (each for each in [*way.get("from", []), *way.get("to", [])] if "podSelector" in each):
                assert any(selects(peer["podSelector"], each) for each in pods)
    assert all(any(selects(each["spec"]["podSelector"], pod) for each in policies(site)) for pod in pods)


def policies(site: list[Resource]) -> list[Resource]:
    return list(named(site, "NetworkPolicy").values())


def test_every_deployment_is_scaled_and_has_a_budget(site: list[Resource]) -> None:
    scalers = [*named(site, "HorizontalPodAutoscaler").values(), *named(site, "ScaledObject").values()]
    deployments = named(site, "Deployment")
    assert {each["spec"]["scaleTargetRef"]["name"] for each in scalers} == deployments.keys()
    assert named(site, "PodDisruptionBudget").keys() == deployments.keys()
    assert all("replicas" not in each["spec"] for each in deployments.values())  # each `apply` would set it back
    for scaler in named(site, "ScaledObject").values():
        assert scaler["spec"]["minReplicaCount"] >= 1  # without a worker of each queue /readyz is 503
        assert all(each["metadata"]["ignoreNullValues"] == "false" for each in scaler["spec"]["triggers"])


def test_queries_of_the_scalers_name_metrics_that_there_are(site: list[Resource], tmp_path: Path) -> None:
    scalers = named(site, "ScaledObject").values()
    queries = [trigger["metadata"]["query"] for each in scalers for trigger in each["spec"]["triggers"]]
    rows = re.findall(r"^\| `(flawsmith_\w+)` \| \w+ \|(.*?)\|", (ROOT / "docs" / "metrics.md").read_text(), re.M)
    labels = {name: set(re.findall(r"`(\w+)`", text)) for name, text in rows}
    for query in queries:
        assert names_in(query)
        for name in names_in(query):
            assert name in labels
        for name, matchers in re.findall(r"(flawsmith_\w+)\{(.*?)\}", query):
            assert {each.partition("=")[0] for each in matchers.split(",")} <= labels[name]
    rules = [{"record": f"site:query:{number}", "expr": each} for number, each in enumerate(queries)]
    need_prometheus()
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], check=True, capture_output=True)


def test_every_variable_is_a_setting_with_a_value_that_it_takes(
    site: list[Resource], monkeypatch: pytest.MonkeyPatch
) -> None:
    documented = (ROOT / "docs" / "settings.md").read_text()
    for container in (each for resource in named(site, "Deployment").values() for each in containers(resource)):
        given = environment(container)
        for name in given.keys() - FIXED.keys():
            assert f"| `{name}` |" in documented
            assert name.removeprefix("FLAWSMITH_").lower() in Settings.model_fields
            monkeypatch.setenv(name, given[name])
        settings = Settings()
        assert settings.image_redis_url != settings.redis_url
        for url in (settings.redis_url, settings.image_redis_url):
            assert re.fullmatch(r"redis://:sesame@flawsmith-redis(-images)?:6379/0", url or "")
            assert (url or "").partition("@")[2].partition(":")[0] in named(site, "Service")


def test_pods_are_confined(site: list[Resource]) -> None:
    for workload in workloads(site).values():
        pod = pod_of(workload)
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False  # else a service `flawsmith-…` becomes variables FLAWSMITH_…
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["runAsGroup"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(workload):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            volumes = {each["name"] for each in pod.get("volumes", [])}
            volumes |= {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])}
            assert {each["name"] for each in container["volumeMounts"]} == volumes
    users = {
        line for file in ROOT.glob("docker/*.Dockerfile") for line in re.findall("^USER (.*)$", file.read_text(), re.M)
    }
    for workload in named(site, "Deployment").values():
        security = pod_of(workload)["securityContext"]
        assert users == {f"{security['runAsUser']}:{security['runAsGroup']}"}


def test_probes_are_those_that_the_code_answers_at_ports_that_there_are(site: list[Resource]) -> None:
    for workload in named(site, "Deployment").values():
        for container in containers(workload):
            ports = {each["name"] for each in container["ports"]}
            paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
            assert {name: each["path"] for name, each in paths.items()} == {
                "startup": "/healthz",
                "liveness": "/healthz",
                "readiness": "/readyz",
            }
            assert {each["port"] for each in paths.values()} <= ports
    all_ports = {port["name"] for each in workloads(site).values() for c in containers(each) for port in c["ports"]}
    for policy in policies(site):
        ways = [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]
        named_ports = {port["port"] for way in ways for port in way["ports"] if isinstance(port["port"], str)}
        assert named_ports <= all_ports


def test_stop_times_fit_those_of_the_code(site: list[Resource]) -> None:
    source = (ROOT / "worker" / "celery.py").read_text()
    [shutdown] = re.findall(r"^SHUTDOWN_SECONDS = ([\d.]+)", source, re.M)
    found = named(site, "Deployment")
    for name in ("flawsmith-train", "flawsmith-sample"):
        assert pod_of(found[name])["terminationGracePeriodSeconds"] >= float(shutdown) + MARGIN
    pod = pod_of(found["flawsmith-api"])
    [container] = pod["containers"]
    [word, pause] = container["lifecycle"]["preStop"]["exec"]["command"]
    assert word == "sleep"
    drain = float(environment(container).get("FLAWSMITH_DRAIN_SECONDS", Settings.model_fields["drain_seconds"].default))
    assert pod["terminationGracePeriodSeconds"] >= float(pause) + drain + MARGIN


def test_images_are_those_of_compose_and_of_this_release(site: list[Resource]) -> None:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {each["image"] for resource in workloads(site).values() for each in containers(resource)}
    compose = (ROOT / "docker-compose.yml").read_text()
    [valkey] = re.findall(r"FLAWSMITH_VALKEY_IMAGE:-(.*)\}", compose)
    assert images == {f"flawsmith-api:{release}", f"flawsmith-worker:{release}", valkey}
    for name in ("api", "worker"):
        assert f"image: flawsmith-{name}" in compose
        assert re.search(r"^obstore==", (ROOT / "requirements" / f"{name}.txt").read_text(), re.M)


def test_the_document_names_every_secret_and_folder(site: list[Resource]) -> None:
    document = (ROOT / "docs" / "kubernetes.md").read_text()
    for container in (each for resource in workloads(site).values() for each in containers(resource)):
        for each in container["env"]:
            if secret := each.get("valueFrom", {}).get("secretKeyRef"):
                assert f"secret generic {secret['name']}" in document
                assert f"--from-literal={secret['key']}=" in document
        for each in container.get("envFrom", []):
            assert f"secret generic {each['secretRef']['name']}" in document
    assert all(f"deploy/k8s/overlays/{folder.name}" in document for folder in OVERLAYS)


def test_every_pod_of_a_site_has_the_artifact_store() -> None:
    volume, bucket = build(K8S / "overlays" / "pvc"), build(K8S / "overlays" / "s3")
    [claim] = named(volume, "PersistentVolumeClaim")
    for workload in named(volume, "Deployment").values():
        [data] = [each for each in pod_of(workload)["volumes"] if each["name"] == "data"]
        assert data["persistentVolumeClaim"]["claimName"] == claim
    stores = {
        environment(c)["FLAWSMITH_ARTIFACT_STORE"] for w in named(bucket, "Deployment").values() for c in containers(w)
    }
    assert len(stores) == 1
    for workload in [*named(volume, "Deployment").values(), *named(bucket, "Deployment").values()]:
        mounts = {each["mountPath"] for each in containers(workload)[0]["volumeMounts"]}
        assert mounts == {"/data", "/tmp"}


def test_with_the_component_each_worker_has_a_gpu(tmp_path: Path) -> None:
    shutil.copytree(K8S, tmp_path / "k8s")
    overlay = tmp_path / "k8s" / "overlays" / "pvc"
    text = (overlay / "kustomization.yaml").read_text()
    (overlay / "kustomization.yaml").write_text(text.replace("# components:", "components:"))
    site = build(overlay)
    test_every_resource_is_as_its_schema_says(site)
    devices = {
        name: containers(each)[0]["resources"]["limits"].get("nvidia.com/gpu")
        for name, each in named(site, "Deployment").items()
    }
    assert devices == {"flawsmith-api": None, "flawsmith-train": "1", "flawsmith-sample": "1"}


def test_prometheus_in_the_cluster_finds_the_pods_of_the_api() -> None:
    [inside] = documents(DEPLOY / "prometheus" / "kubernetes.yml")
    apis, workers = inside["scrape_configs"]
    services = named(build(OVERLAYS[0]), "Service")
    [pods], [discovery] = apis["dns_sd_configs"], workers["http_sd_configs"]
    name, _, zone = pods["names"][0].partition(".")
    assert zone == "flawsmith.svc.cluster.local"
    assert services[name]["spec"]["clusterIP"] == "None"
    address = re.fullmatch(r"http://([\w-]+)\.flawsmith\.svc:(\d+)/metrics/targets", discovery["url"])
    assert address is not None
    assert services[address[1]]["spec"]["ports"][0]["port"] == int(address[2]) == pods["port"]
