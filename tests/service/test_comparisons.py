"""Two versions compared by the real worker, as the client asks for it."""

from tests.conftest import Service, photograph, zipped

from flawsmith import Client
from flawsmith.core.domain.version_comparison import VersionComparison


def test_two_versions_are_judged_on_the_same_photographs(service: Service) -> None:
    files = {f"pits/{number}.png": photograph(number) for number in range(6)}
    assert service.upload("compared", zipped(files)).status_code == 201
    for seed in (0, 1):
        job = service.train("compared", "compared", seed=seed)
        assert job["state"] == "succeeded", job
    path = "/models/compared/versions/2/compare"
    first = service.client.get(path, params={"with": 1})
    assert first.status_code == 202, first.text
    with Client(str(service.client.base_url)) as client:
        compared = client.compare("compared", "compared@1")
    answer = service.client.get(path, params={"with": 1})
    found = VersionComparison.model_validate(answer.json())
    assert compared.raw == answer.json()
    assert found.versions == ("compared@2", "compared@1")
    assert found.trained_on_by == ["compared@2", "compared@1"]
    assert found.measures
    assert found.sentence.startswith("These photographs cannot tell")  # six are too few to calibrate a measure
    job = service.client.get(first.headers["location"]).json()
    assert (job["state"], job["result"]) == ("succeeded", answer.json())
