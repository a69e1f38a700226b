"""What a request leaves open is filled in from its dataset; a stored configuration becomes a trainer's."""

from typing import Any

import pytest
from pydantic import ValidationError

from flawsmith.core.domain.crops import Around, crop_of
from flawsmith.core.domain.presets.registry import UnknownPreset
from flawsmith.core.domain.records import CropEffect, Dataset, ModelVersion, SizeRange, now
from flawsmith.core.domain.training_config import CannotTrain, WrongConfig, resolve, trainer_config
from flawsmith.core.domain.training_request import TrainingRequest

# Stored by commit b2444ae.
JOB = {
    "resolution": 32,
    "channels": 1,
    "classes": ["dents", "scratches"],
    "seed": 3,
    "epochs": None,
    "steps_per_epoch": 3,
    "total_steps": 500,
    "priority": 0,
    "max_seconds": None,
    "patience": None,
    "deterministic": False,
    "init_from": None,
}
FEWSHOT = {
    "latent_size": 4,
    "generator_width": 1,
    "discriminator_width": 2,
    "learning_rate": 0.0004,
    "gradient_penalty": 1.0,
    "average_images": 10000,
    "augment_probability": 0.7,
    "augment_shift": 0.125,
    "augment_brightness": 0.2,
    "augment_contrast": 0.25,
    "horizontal_flip": None,
    "vertical_flip": None,
    "transposition": None,
    "batch_size": 4,
    "cuda_graph": True,
}
DCGAN = {
    "latent_size": 4,
    "generator_depth": 1,
    "discriminator_depth": 1,
    "generator_learning_rate": 0.0001,
    "discriminator_learning_rate": 0.0004,
    "beta1": 0.5,
    "beta2": 0.999,
    "batch_size": 4,
    "precision": "float32",
}


def dataset(photographs: int, types: int = 1) -> Dataset:
    return Dataset(
        id="ds-1",
        name="steel",
        digest="",
        image_count=photographs,
        classes={f"type-{number}": photographs // types for number in range(types)},
        size=SizeRange(min=(64, 64), max=(64, 64)),
        mode="L",
        rejected=[],
        created_at=now(),
    )


def resolved(of: Dataset, **body: Any) -> dict[str, Any]:
    return resolve(TrainingRequest(dataset="steel", model="m", **body), of)


@pytest.mark.parametrize(("photographs", "penalty"), [(20, 1.0), (400, 0.5), (2000, 0.2)])
def test_the_more_photographs_the_weaker_the_default_penalty(photographs: int, penalty: float) -> None:
    assert resolved(dataset(photographs))["gradient_penalty"] == penalty


def test_a_requested_penalty_is_used() -> None:
    assert resolved(dataset(400), overrides={"gradient_penalty": 3.0})["gradient_penalty"] == 3.0


@pytest.mark.parametrize(("types", "steps"), [(1, 6000), (2, 8000), (4, 12000)])
def test_fewshot_trains_a_third_longer_for_each_further_type(types: int, steps: int) -> None:
    config = resolved(dataset(400, types))
    assert (config["total_steps"], config["epochs"]) == (steps, None)


def test_dcgan_trains_for_a_number_of_epochs() -> None:
    config = resolved(dataset(300), preset="dcgan")
    assert (config["epochs"], config["steps_per_epoch"], config["total_steps"]) == (128, 25, 3200)


@pytest.mark.parametrize(("length", "steps"), [({"epochs": 2}, 50), ({"steps": 7}, 7)])
def test_a_requested_length_is_used(length: dict[str, int], steps: int) -> None:
    assert resolved(dataset(300), preset="dcgan", **length)["total_steps"] == steps


def test_a_configuration_of_an_earlier_release_is_read_and_left_as_it_is() -> None:
    stored = {**JOB, **FEWSHOT}
    config = trainer_config("fewshot", stored)
    assert config["ema_half_life_images"] == 10000
    assert "average_images" in stored
    later = {"crop", "scale", "start", "prior", "whole_photographs", "holdout_by", "inherited_holdout"}
    assert config.keys() == resolved(dataset(20)).keys() - JOB.keys() - later | {"resolution", "channels", "seed"}


def test_networks_of_a_stored_configuration_have_the_shape_that_they_were_trained_with() -> None:
    config = trainer_config("fewshot", {**JOB, **FEWSHOT})
    assert (config["direction"], config["wavelet"], config["narrow_ends"]) == (False, False, False)


@pytest.mark.parametrize(("resolution", "narrow"), [(32, False), (64, False), (128, True), (256, True)])
def test_new_networks_know_directions_and_have_narrow_ends_from_128_pixels(resolution: int, narrow: bool) -> None:
    config = resolved(dataset(300), resolution=resolution)
    assert (config["direction"], config["narrow_ends"], config["wavelet"]) == (True, narrow, False)
    asked = resolved(dataset(300), resolution=resolution, overrides={"direction": False, "narrow_ends": not narrow})
    assert (asked["direction"], asked["narrow_ends"]) == (False, not narrow)


@pytest.mark.parametrize(("photographs", "kinds"), [(20, 1), (79, 1), (80, 2), (200, 5), (2000, 5)])
def test_many_photographs_are_divided_into_kinds(photographs: int, kinds: int) -> None:
    assert resolved(dataset(photographs))["kinds"] == kinds
    assert resolved(dataset(photographs, photographs // 20))["kinds"] == 1, "by the smallest type"
    assert resolved(dataset(photographs), overrides={"direction": False})["kinds"] == 1
    assert resolved(dataset(photographs), overrides={"kinds": 3})["kinds"] == 3


@pytest.mark.parametrize(
    ("types", "length", "kinds"),
    [
        (1, {"steps": 2000}, 5),
        (1, {"steps": 1999}, 1),
        (1, {"steps": 1000, "overrides": {"batch_size": 32}}, 5),
        (1, {"epochs": 1}, 1),
        (1, {"max_seconds": 300}, 5),
        (1, {"max_seconds": 150}, 1),
        (1, {"max_seconds": 150, "overrides": {"kinds": 5}}, 5),
        (1, {"max_seconds": 300, "steps": 1000}, 1),
        (6, {"max_seconds": 300}, 1),
        (6, {"max_seconds": 900}, 5),
    ],
)
def test_short_jobs_have_one_kind(types: int, length: dict[str, Any], kinds: int) -> None:
    """What a third of the default length is grows with the number of types."""
    assert resolved(dataset(200 * types, types), **length)["kinds"] == kinds


def test_kinds_need_directions() -> None:
    with pytest.raises(ValidationError, match="'kinds' needs 'direction'; leave one of the two out"):
        resolved(dataset(200), overrides={"direction": False, "kinds": 2})


def version(config: dict[str, Any]) -> ModelVersion:
    """m@1, of one type."""
    return ModelVersion(
        model="m",
        version=1,
        classes=["type-0"],
        resolution=32,
        mode="L",
        preset="fewshot",
        config=config,
        training_job="job",
        dataset_digest="digest",
        weights_sha256="weights",
        created_at=now(),
    )


def test_a_job_that_continues_a_version_cannot_leave_its_directions_out() -> None:
    """The refusal says so, and does not speak of the version's kinds, which nobody asked for."""
    origin = version({**resolved(dataset(200), resolution=32), "prior": None})
    assert resolve(TrainingRequest(dataset="steel", model="m", init_from="m@1"), dataset(20), origin)["kinds"] == 5
    refused = [({"direction": False}, "m@1 has direction True, not False"), ({"kinds": 2}, "m@1 has kinds 5, not 2")]
    for overrides, words in refused:
        request = TrainingRequest(dataset="steel", model="m", init_from="m@1", overrides=overrides)
        with pytest.raises(CannotTrain, match=words):
            resolve(request, dataset(200), origin)


def test_a_job_that_continues_an_earlier_version_has_networks_of_its_shape() -> None:
    origin = version({**JOB, **FEWSHOT, "classes": ["type-0"], "prior": "0123"})
    request = TrainingRequest(dataset="steel", model="m", init_from="m@1")
    config = resolve(request, dataset(20), origin)
    assert (config["direction"], config["wavelet"], config["narrow_ends"]) == (False, False, False)
    assert config["kinds"] == 1
    assert config["prior"] == "0123", "its images are compared with those of what the first version began with"
    told = request.model_copy(update={"overrides": {"direction": True}})
    with pytest.raises(CannotTrain, match="m@1 has direction False, not True"):
        resolve(told, dataset(20), origin)


def test_a_dcgan_configuration_from_before_precision_could_be_chosen_means_float32() -> None:
    stored = {name: value for name, value in {**JOB, **DCGAN}.items() if name != "precision"}
    assert trainer_config("dcgan", stored) == trainer_config("dcgan", {**JOB, **DCGAN})


def test_a_missing_or_unknown_field_is_named() -> None:
    with pytest.raises(WrongConfig, match="lacks: beta1"):
        trainer_config("dcgan", {name: value for name, value in {**JOB, **DCGAN}.items() if name != "beta1"})
    with pytest.raises(WrongConfig, match="does not know fields of the configuration: bta1"):
        trainer_config("dcgan", {**JOB, **DCGAN, "bta1": 0.5})


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownPreset, match=r"unknown preset 'stylegan'; the presets are: .*fewshot"):
        trainer_config("stylegan", JOB)


def long_dataset() -> Dataset:
    crops = {
        Around(name): CropEffect(images=images, pixels_lost=lost, defects_lost=0, defect_size=None)
        for name, images, lost in (("middle", 100, 0.5), ("pad", 100, 0), ("grid", 240, 0))
    }
    return dataset(100).model_copy(update={"crop": Around.GRID, "crops": crops})


def test_the_dataset_decides_the_crop_and_the_body_may_choose_another() -> None:
    assert resolved(long_dataset())["crop"] == {"around": "grid"}
    assert resolved(long_dataset(), crop={"around": "pad"})["crop"] == {"around": "pad"}
    assert resolved(dataset(100))["crop"] == {"around": "middle"}


def test_an_epoch_passes_over_all_squares_of_the_crop() -> None:
    body = {"preset": "dcgan", "epochs": 1, "overrides": {"batch_size": 20}}
    assert resolved(long_dataset(), **body)["total_steps"] == 12
    assert resolved(long_dataset(), crop={"around": "middle"}, **body)["total_steps"] == 5


def test_a_configuration_stored_without_a_crop_cuts_the_middle() -> None:
    assert crop_of(JOB).around is Around.MIDDLE
    assert crop_of(resolved(long_dataset())).around is Around.GRID
