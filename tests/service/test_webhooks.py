"""Webhooks through the real service, to a real receiver that checks signatures with the standard's own library."""

import signal
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.client.both import Run, both
from tests.conftest import SMALL_JOB, Service, photograph, start_service, stop_service, until, zipped
from tests.receiver import Receiver, receiver
from tests.service.shell import Shell

from flawsmith.client.errors import Invalid, NotFound

NEW, OLD = (f"whsec_{b64encode(bytes([each]) * 32).decode()}" for each in (1, 2))
SETTINGS = {"webhook_secrets": f"{NEW},{OLD}", "webhook_private_networks": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Receiver]]:
    """A service that signs with two secrets, and a receiver on loopback."""
    with receiver() as receiving:
        service = start_service(tmp_path_factory.mktemp("told"), **SETTINGS)
        archive = zipped({f"dents/{i}.png": photograph(i) for i in range(5)})
        answer = service.client.post("/datasets", data={"name": "told"}, files={"archive": archive})
        assert answer.status_code == 201, answer.text
        yield service, receiving
        stop_service(service)


def messages(service: Service, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = service.client.get("/webhook-messages", params=query).json()["items"]
    return items


def train(service: Service, url: str, **webhook: Any) -> dict[str, Any]:
    body = {"dataset": "told", "model": "told", "webhook": {"url": url, **webhook}, **SMALL_JOB}
    answer = service.client.post("/training-jobs", json=body)
    assert answer.status_code == 202, answer.text
    return service.job_ended(answer.headers["location"], 120)


def ended(service: Service, of: str, count: int = 1) -> list[dict[str, Any]]:
    """The messages of a webhook once so many are no longer on their way."""

    def found() -> list[dict[str, Any]]:
        listed = messages(service, webhook=of)
        return listed if len([each for each in listed if each["state"] != "pending"]) >= count else []

    found_messages: list[dict[str, Any]] = until(found, 60, f"{count} messages of {of} have ended")
    return found_messages


def test_the_end_of_a_job_is_told_once_and_signed_by_both_secrets(told: tuple[Service, Receiver]) -> None:
    service, receiving = told
    job = train(service, f"{receiving.url}/job", events=["job.running", "job.succeeded"])
    found = ended(service, job["id"], 2)
    assert [(each["type"], each["state"]) for each in found] == [
        ("job.succeeded", "delivered"),
        ("job.running", "delivered"),
    ]
    bodies = [receiving.verified("/job", secret, position) for secret in (NEW, OLD) for position in (0, 1)]
    assert sorted(each["type"] for each in bodies) == ["job.running", "job.running", "job.succeeded", "job.succeeded"]
    end = next(each["data"] for each in bodies if each["type"] == "job.succeeded")
    assert (end["id"], end["produced"], end["url"]) == (job["id"], job["produced"], f"/training-jobs/{job['id']}")
    assert {headers["webhook-id"] for headers, _ in receiving.at("/job")} == {each["id"] for each in found}
    assert "webhook" not in job["config"], "it would be published with the version"


def test_a_receiver_that_fails_is_asked_again_with_the_same_id(told: tuple[Service, Receiver]) -> None:
    service, receiving = told
    receiving.answers["/later"] = [500]
    job = train(service, f"{receiving.url}/later")
    (message,) = ended(service, job["id"])
    assert message["state"] == "delivered"
    assert [each["status"] for each in message["attempts"]] == [500, 204]
    first, second = receiving.at("/later")
    assert first[0]["webhook-id"] == second[0]["webhook-id"] == message["id"]
    assert first[1] == second[1]


def test_a_redirect_is_an_error_and_is_not_followed(told: tuple[Service, Receiver]) -> None:
    service, receiving = told
    receiving.answers["/moved"] = [302]
    job = train(service, f"{receiving.url}/moved")
    (message,) = ended(service, job["id"])
    assert "redirects are not followed" in message["attempts"][0]["error"]
    assert receiving.at("/elsewhere") == []


def test_standing_webhooks_hear_of_aliases_until_they_answer_410(told: tuple[Service, Receiver]) -> None:
    service, receiving = told
    made = service.client.post("/webhooks", json={"url": f"{receiving.url}/standing", "events": ["alias.changed"]})
    assert made.status_code == 201, made.text
    webhook = made.json()
    version = int(train(service, f"{receiving.url}/quiet")["produced"].partition("@")[2])
    receiving.answers["/standing"] = [204, 410]
    path = "/models/told/aliases/line"
    assert service.client.put(path, json={"version": version}).status_code == 200
    assert ended(service, webhook["id"])[0]["state"] == "delivered"
    data = receiving.verified("/standing", NEW)["data"]
    assert (data["model"], data["alias"], data["version"], data["before"]) == ("told", "line", version, None)
    assert service.client.put(path, json={"version": version}).status_code == 200, "the same again: nothing to tell"
    assert service.client.delete(path).status_code == 204
    assert ended(service, webhook["id"], 2)[0]["state"] == "failed"
    assert "410" in service.client.get(f"/webhooks/{webhook['id']}").json()["ended"]
    assert service.client.put(path, json={"version": version}).status_code == 200
    assert len(messages(service, webhook=webhook["id"])) == 2
    assert service.client.delete(f"/webhooks/{webhook['id']}").status_code == 204
    assert service.client.get(f"/webhooks/{webhook['id']}").status_code == 404


@both
def test_a_message_is_sent_again_on_request(run: Run, told: tuple[Service, Receiver]) -> None:
    service, receiving = told
    url, place = str(service.client.base_url), f"/again-{run.__name__}"
    job = train(service, f"{receiving.url}{place}")
    (message,) = ended(service, job["id"])
    assert run(url, "webhook_message", message["id"]).attempts == message["attempts"]
    again = run(url, "resend_message", message["id"])
    assert (again.id, again.state) == (message["id"], "pending")
    until(lambda: len(receiving.at(place)) == 2, 30, "it came again")
    ended(service, job["id"])
    [found] = run(url, "webhook_messages", job["id"], state="delivered")
    assert (found.id, len(found.attempts)) == (message["id"], 2)
    with pytest.raises(NotFound):
        run(url, "resend_message", "msg_0")


@both
def test_standing_webhooks_by_the_client(run: Run, told: tuple[Service, Receiver]) -> None:
    service, receiving = told
    url = str(service.client.base_url)
    webhook = run(url, "add_webhook", f"{receiving.url}/client", ["version.failing"])
    assert run(url, "webhook", webhook.id) == webhook
    assert webhook.id in [each.id for each in run(url, "webhooks")]
    run(url, "delete_webhook", webhook)
    assert webhook.id not in [each.id for each in run(url, "webhooks")]
    with pytest.raises(Invalid, match="no public address"):
        run(url, "add_webhook", "http://10.1.2.3/hook")


def test_standing_webhooks_from_the_shell(told: tuple[Service, Receiver], tmp_path: Path) -> None:
    service, receiving = told
    shell = Shell(service, tmp_path)
    [made] = shell.run("webhooks", "add", f"{receiving.url}/shell", "--event", "alias.changed").stdout.split()
    assert f"{made}\t{receiving.url}/shell\talias.changed\t-\n" in shell.run("webhooks", "list").stdout
    job = train(service, f"{receiving.url}/by-shell")
    (message,) = ended(service, job["id"])
    listed = shell.run("webhooks", "messages", "--of", job["id"], "--state", "delivered").stdout
    assert listed.startswith(f"{message['id']}\tjob.succeeded\tdelivered\t1\t")
    assert shell.run("webhooks", "resend", message["id"]).stdout == f"{message['id']}: pending\n"
    shell.run("webhooks", "delete", made)
    assert "webhook" in shell.refused("webhooks", "delete", made)
    assert "no public address" in shell.refused("webhooks", "add", "http://10.1.2.3/hook")


@pytest.mark.parametrize(
    ("webhook", "said"),
    [
        ({"url": "http://10.1.2.3/hook"}, "no public address"),
        ({"url": "http://[::ffff:169.254.169.254]/latest"}, "no public address"),
        ({"url": "ftp://example.com/hook"}, "https://HOST/PATH"),
        ({"url": "https://user:word@example.com/hook"}, "no user name"),
        ({"url": "https://example.com/a b"}, "https://HOST/PATH"),
        ({"url": "https://example.com/", "events": ["job.finished"]}, "job.succeeded"),
        ({"url": "https://example.com/", "events": []}, "at least 1"),
        ({"url": "https://example.com/", "secret": "x"}, "secret"),
    ],
)
def test_what_cannot_be_told_is_refused(told: tuple[Service, Receiver], webhook: dict[str, Any], said: str) -> None:
    service, _ = told
    body = {"dataset": "told", "model": "told", "webhook": webhook, **SMALL_JOB}
    answer = service.client.post("/training-jobs", json=body)
    assert answer.status_code == 422
    assert said in answer.text


def test_without_a_secret_there_are_no_webhooks(service: Service, trained: dict[str, Any]) -> None:
    url = "https://example.com/hook"
    for path, body in (
        ("/webhooks", {"url": url}),
        ("/exports", {"model": "two-types@1", "count": 1, "webhook": {"url": url}}),
    ):
        answer = service.client.post(path, json=body)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:no-webhook-secret")
        assert "FLAWSMITH_WEBHOOK_SECRETS" in answer.text


def test_a_killed_service_delivers_when_it_is_back(tmp_path: Path) -> None:
    with receiver() as receiving:
        receiving.answers["/hook"] = [503]
        service = start_service(tmp_path, **SETTINGS)
        archive = zipped({f"dents/{i}.png": photograph(i) for i in range(5)})
        service.client.post("/datasets", data={"name": "told"}, files={"archive": archive})
        job = train(service, f"{receiving.url}/hook")
        until(lambda: receiving.at("/hook"), 30, "the first attempt failed")
        service.process.send_signal(signal.SIGKILL)
        stop_service(service)
        again = start_service(tmp_path, **SETTINGS)
        (message,) = ended(again, job["id"])
        stop_service(again)
    assert message["state"] == "delivered"
