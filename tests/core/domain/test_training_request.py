"""The body of POST /training-jobs and its JSON Schema."""

import json
import re

import pytest
from pydantic import ValidationError

from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.training_request import TrainingRequest, request_schema


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError) as refused:
        TrainingRequest(dataset="steel", model="m", preset="stylegan")
    (error,) = refused.value.errors()
    assert error["loc"] == ("preset",)
    assert error["msg"] == f"unknown preset 'stylegan'; the presets are: {', '.join(PRESETS.names)}"


def test_the_schema_has_every_preset_with_its_overrides_and_resolutions() -> None:
    schema = request_schema()
    assert schema["properties"]["preset"]["enum"] == PRESETS.names
    assert {"dcgan", "fewshot"} <= set(PRESETS.names) <= schema["$defs"].keys()
    assert set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(schema))) <= schema["$defs"].keys()
    assert schema["$defs"]["dcgan"]["properties"]["beta1"]["default"] == 0.5
    of_preset = {each["if"]["properties"]["preset"]["const"]: each["then"]["properties"] for each in schema["allOf"]}
    dcgan, fewshot = of_preset["dcgan"], of_preset["fewshot"]
    assert dcgan["epochs"] == {"default": 128, "description": "passes over the dataset; null: 128"}
    assert fewshot["overrides"] == {"$ref": "#/$defs/fewshot"}
    assert fewshot["resolution"] == {"enum": [None, 32, 64, 128, 256], "default": 128}
