"""Builds a folder of deploy/k8s as `kubectl kustomize` does, as far as these files need it; kubectl is not everywhere.

`test_kubernetes.py` compares the two where kubectl is installed.
"""

import re
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

Resource = dict[str, Any]

_KNOWN = {"apiVersion", "kind", "resources", "components", "images", "patches"}


def build(folder: Path) -> list[Resource]:
    """The resources of a kustomization. Raises FileNotFoundError where it names what is not there."""
    return _applied(folder, [])


def _applied(folder: Path, resources: list[Resource]) -> list[Resource]:
    """Adds what the kustomization of a folder adds, then changes what it changes."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert kustomization.keys() <= _KNOWN, f"{folder}: this builder does not know {kustomization.keys() - _KNOWN}"
    for name in kustomization.get("resources", []):
        path = (folder / name).resolve()
        resources = [*resources, *(build(path) if path.is_dir() else documents(path))]
    for name in kustomization.get("components", []):
        resources = _applied((folder / name).resolve(), resources)
    for patch in kustomization.get("patches", []):
        resources = _patched(resources, patch["target"], yaml.safe_load((folder / patch["path"]).read_text()))
    for image in kustomization.get("images", []):
        for container in (each for resource in resources for each in containers(resource)):
            if container["image"] == image["name"]:
                container["image"] = f"{image['name']}:{image['newTag']}"
    return resources


def documents(path: Path) -> list[Resource]:
    """The documents of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def containers(resource: Resource) -> list[Resource]:
    """The containers of a resource that has pods; else none."""
    found: list[Resource] = pod_of(resource).get("containers", [])
    return found


def pod_of(resource: Resource) -> Resource:
    """What a resource says of its pods; empty where it has none."""
    spec: Resource = resource.get("spec", {}).get("template", {}).get("spec", {})
    return spec


def _patched(resources: list[Resource], target: dict[str, str], operations: list[Any]) -> list[Resource]:
    hit = [_is_target(each, target) for each in resources]
    assert any(hit), f"no resource is {target}"
    return [
        jsonpatch.apply_patch(each, operations) if wanted else each for each, wanted in zip(resources, hit, strict=True)
    ]


def _is_target(resource: Resource, target: dict[str, str]) -> bool:
    name = resource["metadata"]["name"]
    return resource["kind"] == target["kind"] and bool(re.fullmatch(target.get("name", ".*"), name))
