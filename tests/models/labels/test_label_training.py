"""Label network and segmenter: what they learn, and that the same is learned again."""

import torch
from torch import Tensor

from flawsmith.models.labels.classifier import PixelClassifier
from flawsmith.models.labels.features import FeatureMaps
from flawsmith.models.labels.masks import SURE
from flawsmith.models.labels.photograph_labels import AnnotatedPhotographs, learned_segmenter, mean_overlap
from flawsmith.models.labels.training import LabelledImages, train_label_network
from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.registry import build_generator
from flawsmith.models.quality.steps import result_of

BRIGHT = 1.6  # of the mean


def labelled(seed: int, count: int) -> LabelledImages:
    """Images of a generator that nothing trained; what is bright in its last feature map counts as the defect."""
    torch.manual_seed(0)
    config = {"resolution": 32, "channels": 1, "latent_size": 8, "generator_depth": 4}
    generator = build_generator("dcgan", config, 2)
    with torch.no_grad():
        for each in generator.parameters():
            each.mul_(4)  # so that images differ
    maps = FeatureMaps(generator, torch.device("cpu"))
    latents = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    types = torch.arange(count) % 2
    images, found = maps(latents, types)
    bright = torch.nn.functional.interpolate(found[-1].mean(1, keepdim=True), size=32, mode="bilinear")[:, 0]
    return LabelledImages(images, found, types, (bright > BRIGHT * found[-1].mean()).float())


def masks_of(network: PixelClassifier, of: LabelledImages) -> Tensor:
    return network(of.maps, of.images, of.type_index).sigmoid() >= SURE


def test_sixteen_masks_teach_those_of_other_images() -> None:
    network = result_of(train_label_network(labelled(1, 16), 2, 0, 100))
    fresh = labelled(2, 32)
    assert mean_overlap(masks_of(network, fresh).numpy(), fresh.targets.numpy() > 0) > 0.7


def test_the_same_masks_give_the_same_network_and_leave_other_random_numbers_alone() -> None:
    given = labelled(1, 4)
    before = torch.get_rng_state()
    first, again = (result_of(train_label_network(given, 2, 3, 20)).state_dict() for _ in range(2))
    assert all(torch.equal(each, again[name]) for name, each in first.items())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_is_the_same_after_it_was_stored() -> None:
    network, fresh = result_of(train_label_network(labelled(1, 4), 2, 0, 10)), labelled(2, 3)
    again = PixelClassifier([each.shape[1] for each in fresh.maps], fresh.images.shape[1], 2)
    again.load_state_dict({name: each.clone() for name, each in network.state_dict().items()})
    assert torch.equal(masks_of(again, fresh), masks_of(network, fresh))


def test_a_segmenter_learns_where_photographs_are_bright() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(60, 100, (40, 1, 32, 32), generator=random).to(torch.uint8)
    masks = torch.zeros(40, 32, 32, dtype=torch.bool)
    for number in range(40):
        top, left = torch.randint(0, 24, (2,), generator=random).tolist()
        masks[number, top : top + 8, left : left + 8] = True
    images[masks[:, None]] += 90
    known = AnnotatedPhotographs(images[:24], masks[:24], torch.arange(24))
    segmenter, agreement = result_of(learned_segmenter(known, 0, 60))
    found = segmenter.probabilities(from_bytes(images[24:])) >= SURE
    assert mean_overlap(found.numpy(), masks[24:].numpy()) > 0.8
    assert agreement is not None
    assert agreement > 0.7
    few = AnnotatedPhotographs(images[:3], masks[:3], torch.arange(3))
    assert result_of(learned_segmenter(few, 0, 2))[1] is None
