"""The settings that protect a service from its callers. `core.settings` has the others."""

from pydantic import Field
from pydantic_settings import BaseSettings


class ProtectionSettings(BaseSettings):
    """Read from the environment like those of `Settings`, which extends this class."""

    require_keys: bool = Field(
        False,
        description="whether calls need a key though FLAWSMITH_API_KEYS is unset: one that `flawsmith keys create`"
        " made; they do anyway as soon as there is one",
    )
    caller_calls_per_second: float = Field(
        0.0, ge=0, description="calls per second that one API key, or one address, may make on average; 0: no bound"
    )
    caller_images_per_second: float = Field(
        0.0, ge=0, description="images per second that one API key, or one address, may request on average; 0: no bound"
    )
    caller_images_per_day: int = Field(
        0, ge=0, description="images that one API key, or one address, may request in a day of UTC; 0: no bound"
    )
    max_datasets: int = Field(0, ge=0, description="most datasets; 0: no bound")
    max_dataset_bytes: int = Field(0, ge=0, description="most bytes on disk of all datasets together; 0: no bound")
    max_models: int = Field(0, ge=0, description="most models, those of unfinished jobs included; 0: no bound")
    max_model_bytes: int = Field(0, ge=0, description="most bytes on disk of all models together; 0: no bound")
    max_jobs: int = Field(0, ge=0, description="most jobs of all kinds, ended ones included; 0: no bound")
    max_job_bytes: int = Field(
        0, ge=0, description="most bytes on disk of all jobs together, their checkpoints included; 0: no bound"
    )
