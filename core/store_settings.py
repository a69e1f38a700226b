"""The settings of the artifact store. `core.settings` has the others."""

from importlib.util import find_spec

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from flawsmith.core.setting_values import bucket_address

GIB = 2**30


class StoreSettings(BaseSettings):
    """Read from the environment like those of `Settings`, which extends this class."""

    artifact_store: str = Field(
        "",
        description="`s3://BUCKET/PREFIX`: the artifact store is in a bucket, see docs/artifact-store.md; unset: in"
        " FLAWSMITH_DATA_DIR",
    )
    artifact_cache_bytes: int = Field(
        10 * GIB, ge=0, description="most bytes of a bucket's content that this machine keeps on its disk"
    )

    @field_validator("artifact_store")
    @classmethod
    def _bucket(cls, value: str) -> str:
        if value:
            bucket_address(value)
            if find_spec("obstore") is None:
                raise ValueError("a bucket needs the package obstore; pip install 'flawsmith[s3]'")
        return value
