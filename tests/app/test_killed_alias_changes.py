"""An API process that is killed as it changes an alias: webhooks hear of the change if it was made, and only then."""

import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import httpx2
import pytest
import redis
from tests.conftest import free_port, until
from tests.labelled_versions import publish_lively
from tests.receiver import receiver

from flawsmith.core.domain.webhook_targets import EventType
from flawsmith.core.live.webhooks.deliveries import Deliveries
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings

SECRET = f"whsec_{b64encode(bytes(32)).decode()}"


def change_and_die(moment: str, settings: Settings) -> None:
    """Points `steel@line` at version 1 through an API that is killed at that moment."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLAWSMITH_")}
    environment |= {
        "FLAWSMITH_DATA_DIR": str(settings.data_dir),
        "FLAWSMITH_REDIS_URL": str(settings.redis_url),
        "FLAWSMITH_PORT": str(port),
        "FLAWSMITH_API_PROCESSES": "1",
        "FLAWSMITH_WEBHOOK_SECRETS": SECRET,
    }
    process = subprocess.Popen([sys.executable, "-m", "tests.app.killed_api", moment], env=environment)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        until(lambda: client.get("/healthz").status_code == 200, 30, "the API answers")
        with pytest.raises(httpx2.HTTPError):
            client.put("/models/steel/aliases/line", json={"version": 1})
    assert process.wait(10) == -9


@pytest.mark.parametrize(("moment", "told"), [("noted", 0), ("made", 1)])
def test_a_killed_api_loses_no_change_and_invents_none(
    redis_settings: Settings, empty_redis: redis.Redis, tmp_path: Path, moment: str, told: int
) -> None:
    socket = redis_settings.data_dir / "redis" / "redis.sock"
    settings = Settings(
        data_dir=tmp_path,
        redis_url=f"unix://{socket}",
        webhook_secrets=SECRET,
        webhook_private_networks="127.0.0.0/8",
    )
    services = Services(settings)
    publish_lively(services.registry, "steel")
    with receiver() as receiving:
        services.webhooks.add(f"{receiving.url}/hook", [EventType.ALIAS_CHANGED])
        change_and_die(moment, settings)
        assert services.registry.aliases("steel") == ({"line": 1} if told else {})
        deliveries = Deliveries(services.redis, services.webhook_events, services.webhooks, settings)
        deliveries.look()
        until(lambda: {each.state for each in services.webhooks.messages()} <= {"delivered"}, 20, "all are delivered")
        services.registry.set_alias("steel", "line", 1)
        services.registry.set_alias("steel", "other", 1)
        deliveries.look()
        until(lambda: len(receiving.got) == 2, 20, "the next changes are told")
        deliveries.look()
    bodies = [receiving.verified("/hook", SECRET, position)["data"] for position in range(2)]
    assert {(each["alias"], each["before"], each["version"]) for each in bodies} == {
        ("line", None, 1),
        ("other", None, 1),
    }
    assert list(tmp_path.glob("artifacts/webhooks/alias-changes/*/*.json")) == []
