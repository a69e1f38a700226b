"""Stored API keys over HTTP: made, limited, expired and revoked while the API runs."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.conftest import until

from flawsmith.app import keyring as keyring_module
from flawsmith.app.main import listening_host
from flawsmith.core.domain.api_keys import CallerLimits, new_key
from flawsmith.core.domain.records import now
from flawsmith.core.setting_values import Scope
from flawsmith.core.settings import Settings, get_settings
from flawsmith.core.store.api_keys import ApiKeys, DamagedKeys
from flawsmith.core.store.artifacts import ArtifactStore

MakeApi = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring_module, "LOOK_SECONDS", 0.02)


@pytest.fixture
def stored(tmp_path: Path) -> ApiKeys:
    """The keys of the service of `make_api`, as another host sees them."""
    return ApiKeys(ArtifactStore(tmp_path / "artifacts"))


def made(stored: ApiKeys, scope: Scope = "generate", **limits: float) -> tuple[dict[str, str], str]:
    """Headers of a new key, and its id."""
    key, record = new_key("somebody", scope, CallerLimits.model_validate(limits))
    stored.add(record)
    return {"Authorization": f"Bearer {key}"}, record.id


def status_becomes(api: TestClient, headers: dict[str, str], status: int) -> None:
    until(lambda: api.get("/models", headers=headers).status_code == status, 10, f"the status is {status}")


def test_a_key_counts_and_counts_no_more_without_a_restart(make_api: MakeApi, stored: ApiKeys) -> None:
    api = make_api(api_keys="sesame")
    first, first_id = made(stored)
    second, _ = made(stored)  # two at once, so that a client can change over
    status_becomes(api, first, 200)
    status_becomes(api, second, 200)
    stored.revoke(first_id)
    status_becomes(api, first, 401)
    refused = api.get("/models", headers=first)
    assert f"{first_id}) is revoked" in refused.json()["detail"]
    assert api.get("/models", headers=second).status_code == 200
    assert api.get("/models", headers={"Authorization": "Bearer sesame"}).status_code == 200


def test_the_first_key_closes_a_running_service_that_had_none(make_api: MakeApi, stored: ApiKeys) -> None:
    api = make_api()
    assert api.get("/models").status_code == 200
    headers, key_id = made(stored, "admin")
    until(lambda: api.get("/models").status_code == 401, 10, "calls need a key")
    assert api.get("/models", headers=headers).status_code == 200
    assert {} not in api.get("/openapi.json").json()["paths"]["/models"]["get"]["security"]
    stored.revoke(key_id)
    status_becomes(api, headers, 401)
    assert api.get("/models").status_code == 401
    assert make_api().get("/models").status_code == 401  # also after a restart


def test_only_a_service_that_needs_keys_listens_beyond_this_machine(
    stored: ApiKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAWSMITH_REQUIRE_KEYS", "false")  # restored at the end
    settings = Settings(data_dir=tmp_path, host="0.0.0.0")
    assert listening_host(settings) == "127.0.0.1"
    assert listening_host(settings.model_copy(update={"require_keys": True})) == "0.0.0.0"
    made(stored)
    assert listening_host(settings) == "0.0.0.0"
    assert get_settings().require_keys  # of processes that start while the store is away
    monkeypatch.undo()
    get_settings.cache_clear()


def test_an_expired_key_is_refused_and_says_so(make_api: MakeApi, stored: ApiKeys) -> None:
    key, record = new_key("a student", "train", None, now() - timedelta(seconds=1))
    stored.add(record)
    answer = make_api().get("/datasets", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401
    assert f"{record.id}) is expired; ask the operator" in answer.json()["detail"]


def test_a_stored_key_reaches_as_far_as_its_scope(make_api: MakeApi, stored: ApiKeys) -> None:
    headers, _ = made(stored, "train")
    api = make_api()
    assert api.get("/datasets", headers=headers).status_code == 200
    assert api.delete("/datasets/x", headers=headers).status_code == 403
    assert api.get("/metrics", headers=headers).status_code == 403
    assert api.get("/caller", headers=headers).json() == {"keys": True, "scopes": ["generate", "train"]}


def test_a_store_that_vanishes_neither_opens_the_service_nor_forgets_its_keys(
    make_api: MakeApi, stored: ApiKeys, tmp_path: Path
) -> None:
    headers, _ = made(stored)
    api = make_api()
    (tmp_path / "artifacts" / "api-keys").rename(tmp_path / "away")
    other, _ = made(ApiKeys(ArtifactStore(tmp_path / "elsewhere")))
    with pytest.raises(FileNotFoundError, match="is its disk mounted"):
        api.app.state.keyring.look()  # type: ignore[attr-defined]
    assert api.get("/models").status_code == 401
    assert api.get("/models", headers=other).status_code == 401
    assert api.get("/models", headers=headers).status_code == 200


def test_a_damaged_file_keeps_what_is_known_and_shows_nothing_of_it(
    make_api: MakeApi, stored: ApiKeys, tmp_path: Path
) -> None:
    headers, _ = made(stored)
    api = make_api()
    (tmp_path / "artifacts" / "api-keys" / "keys.json").write_text('{"keys": [{"digest": "sesame"}]}')
    with pytest.raises(DamagedKeys, match="restore it from a backup") as refused:
        api.app.state.keyring.look()  # type: ignore[attr-defined]
    assert "sesame" not in str(refused.value)
    assert api.get("/models", headers=headers).status_code == 200
    with pytest.raises(DamagedKeys):
        make_api()


def test_the_store_has_no_key_but_hashes(stored: ApiKeys, tmp_path: Path) -> None:
    headers, key_id = made(stored)
    key = headers["Authorization"].removeprefix("Bearer ")
    assert re.fullmatch(r"flawsmith_[0-9a-f]{20}_[A-Za-z0-9_-]{43}", key)
    files = [each for each in (tmp_path / "artifacts").rglob("*") if each.is_file()]
    assert any(key_id in each.read_text() for each in files)
    assert not any(key[-20:] in each.read_text() for each in files)


def test_two_processes_that_change_keys_at_once_lose_none(stored: ApiKeys, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    stores = [ApiKeys(ArtifactStore(tmp_path / "artifacts")) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ids = [key_id for _, key_id in pool.map(made, stores * 4)]
        revoked = list(pool.map(lambda pair: pair[0].revoke(pair[1]).id, zip(stores, ids[:8], strict=True)))
    assert {each.id for each in stored.all()} == set(ids)
    assert {each.id for each in stored.all() if each.revoked_at} == set(revoked)


def test_calls_over_a_keys_rate_are_429_and_other_keys_pass(make_api: MakeApi, stored: ApiKeys) -> None:
    slow, _ = made(stored, calls_per_second=0.1)
    free, _ = made(stored)
    api = make_api()
    passed = api.get("/models", headers=slow)
    assert passed.status_code == 200
    assert passed.headers["ratelimit-policy"] == '"calls-rate";q=1;w=10'
    assert re.fullmatch(r'"calls-rate";r=0;t=(9|10)', passed.headers["ratelimit"])
    refused = api.get("/models", headers=slow)
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:flawsmith:busy")
    assert "0.1 calls a second on average" in refused.json()["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert '"calls-rate";r=0' in refused.headers["ratelimit"]
    assert api.get("/healthz", headers=slow).status_code == 200
    unlimited = api.get("/models", headers=free)
    assert (unlimited.status_code, "ratelimit" in unlimited.headers) == (200, False)


def test_without_keys_each_address_has_the_rate_of_the_settings(make_api: MakeApi) -> None:
    api = make_api(caller_calls_per_second=0.1)
    assert [api.get("/models").status_code for _ in range(3)] == [200, 429, 429]
    assert api.get("/readyz").status_code in (200, 503)
    assert api.get("/").status_code == 200


def test_a_keys_own_limits_win_over_those_of_the_settings(make_api: MakeApi, stored: ApiKeys) -> None:
    free, _ = made(stored, calls_per_second=0)
    usual, _ = made(stored)
    api = make_api(caller_calls_per_second=0.1)
    assert [api.get("/models", headers=free).status_code for _ in range(5)] == [200] * 5
    assert [api.get("/models", headers=usual).status_code for _ in range(2)] == [200, 429]
