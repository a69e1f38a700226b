"""The settings of the trackers that training jobs are sent to. `core.settings` has the others."""

import re
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

_SERVER = re.compile(r"https?://(?:[^\s/@]*@)?[^\s/@?#]+(?:/[^\s?#]*)?")


class TrackerSettings(BaseSettings):
    """Read from the environment like those of `Settings`, which extends this class."""

    mlflow_tracking_uri: str | None = Field(
        None,
        repr=False,
        description="address of an MLflow server that training jobs are sent to, such as `https://mlflow.example.com`,"
        " with `NAME:PASSWORD@` before the host if it needs them; unset: none",
    )
    mlflow_tracking_uri_file: Path | None = Field(
        None, description="file with FLAWSMITH_MLFLOW_TRACKING_URI, in its place"
    )
    mlflow_experiment: str = Field(
        "flawsmith", min_length=1, max_length=200, description="experiment in MLflow; made if it is not there"
    )
    tensorboard_dir: Path | None = Field(
        None, description="folder that event files of training jobs are written to, for TensorBoard; unset: none"
    )

    @field_validator("mlflow_tracking_uri")
    @classmethod
    def _server(cls, value: str | None) -> str | None:
        if value and not _SERVER.fullmatch(value):
            raise ValueError("the address of a server is https://HOST or http://HOST:PORT, and may have a path")
        return value or None

    @field_validator("tensorboard_dir")
    @classmethod
    def _absolute_folder(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()
