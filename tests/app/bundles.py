"""Sends and receives bundles."""

from typing import Any

import torch
from starlette.testclient import TestClient

from flawsmith.core.domain.addresses import seeded
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.registry import Registry
from flawsmith.worker.engine import Engine


def services_of(client: TestClient) -> Services:
    found: Services = client.app.state.services  # type: ignore[attr-defined]
    return found


def path_of(version: ModelVersion) -> str:
    return f"/models/{version.model}/versions/{version.version}"


def bundle(api: TestClient, version: ModelVersion) -> bytes:
    answer = api.get(f"{path_of(version)}/bundle")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    return answer.content


def send(client: TestClient, content: bytes, **headers: str) -> Any:
    return client.post("/models/import", content=content, headers={"Content-Type": "application/zip", **headers})


def images(registry: Registry, version: ModelVersion) -> list[bytes]:
    """The PNGs and masks of some addresses."""
    engine = Engine(registry, 1, torch.device("cpu"))
    addresses = seeded(version.classes, None, 5, 4)
    pngs = [
        engine.encoder(version.ref)(*each)
        for each in zip(addresses, engine.sample(version.ref, addresses), strict=True)
    ]
    masks = [each.mask or b"" for each in engine.labels(version.ref, addresses)] if version.labels else []
    return [*pngs, *masks]
