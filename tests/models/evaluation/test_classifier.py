"""The classifier learns, and a saved training goes on as if it had never stopped."""

import torch
from tests.models.pictures import blots, streaks
from torch import Tensor

from flawsmith.models.evaluation.classifier import Classifier

CPU = torch.device("cpu")


def of(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    images = torch.cat([streaks(seed, count), blots(seed, 2 * count)])
    return images, torch.tensor([0] * count + [1] * 2 * count)


def trained(classifier: Classifier) -> Classifier:
    while not classifier.over:
        classifier.step()
    return classifier


def test_it_learns_to_tell_types_apart() -> None:
    images, types = of(40, seed=1)
    found = trained(Classifier(*of(15), 2, 0, CPU, steps=40)).classify(images)
    assert (found == types).float().mean() > 0.9


def test_a_saved_training_goes_on_to_the_same_network() -> None:
    whole = trained(Classifier(*of(10), 2, 3, CPU, steps=8))
    first = Classifier(*of(10), 2, 3, CPU, steps=8)
    for _ in range(5):
        first.step()
    saved = {name: each.clone() for name, each in first.state_dict().items()}
    torch.manual_seed(99)  # whatever the process did meanwhile
    rest = Classifier(*of(10), 2, 3, CPU, steps=8)
    rest.load_state_dict(saved)
    assert rest.completed_steps == 5
    trained(rest)
    expected, actual = whole.state_dict(), rest.state_dict()
    assert expected.keys() == actual.keys()
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
