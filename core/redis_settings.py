"""The settings of Redis, and of the second server for images. `core.settings` has the others."""

from pathlib import Path

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

_SCHEMES = ("redis://", "rediss://", "unix://")


class RedisSettings(BaseSettings):
    """Read from the environment like those of `Settings`, which extends this class."""

    redis_url: str | None = Field(
        None, repr=False, description="broker and cache; unset: `flawsmith serve` starts the embedded server"
    )
    redis_url_file: Path | None = Field(None, description="file with FLAWSMITH_REDIS_URL, in its place")
    image_redis_url: str | None = Field(
        None,
        repr=False,
        description="a second server for what may be lost: image pools, sampling queue, inboxes, image cache; it needs"
        " no disk. Unset: they are in FLAWSMITH_REDIS_URL as well",
    )
    image_redis_url_file: Path | None = Field(None, description="file with FLAWSMITH_IMAGE_REDIS_URL, in its place")
    redis_ca_file: Path | None = Field(
        None,
        description="PEM file with the authorities that the certificate of a `rediss://` server is checked with; unset:"
        " those of the system",
    )
    redis_cert_file: Path | None = Field(
        None, description="PEM file with the certificate that a `rediss://` server asks of its clients, if it does"
    )
    redis_key_file: Path | None = Field(None, description="PEM file with the private key of FLAWSMITH_REDIS_CERT_FILE")

    @field_validator("redis_url", "image_redis_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value and not value.startswith(_SCHEMES):
            raise ValueError(
                "give a URL such as redis://HOST:6379/0, rediss://USER:PASSWORD@HOST:6379/0 or unix://PATH"
            )
        return value

    @model_validator(mode="after")
    def _readable_certificates(self) -> "RedisSettings":
        for name in ("redis_ca_file", "redis_cert_file", "redis_key_file"):
            path: Path | None = getattr(self, name)
            if path is not None:
                try:
                    path.open("rb").close()
                except OSError as error:
                    raise ValueError(f"FLAWSMITH_{name.upper()}: cannot read {path} ({error.strerror})") from None
        if (self.redis_cert_file is None) != (self.redis_key_file is None):
            raise ValueError("set both FLAWSMITH_REDIS_CERT_FILE and FLAWSMITH_REDIS_KEY_FILE, or none of them")
        return self
