"""Every measure of a report has a meaning in words of its own."""

from flawsmith.models.quality.combined import COMBINED
from flawsmith.models.quality.neighbourhoods import BETTER
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.worker.reports.meanings import meaning_of


def test_no_two_measures_mean_the_same() -> None:
    names = [
        *BETTER,
        *(each.name for each in SPACES),
        COMBINED,
        "diversity",
        "defect_shown",
        "memorization_rate",
        "start_rate",
    ]
    meanings = {meaning_of(name) for name in names}
    assert len(meanings) == len(names)
    assert meaning_of("a measure that nobody declared") not in meanings
