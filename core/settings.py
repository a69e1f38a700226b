"""The one table of settings. Every name is an environment variable with the prefix ``FLAWSMITH_``."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Scope = Literal["generate", "train", "admin", "metrics"]
MIB = 1024 * 1024


class Settings(BaseSettings):
    """What a person who runs Flawsmith may set; the README's table is made from these lines."""

    model_config = SettingsConfigDict(env_prefix="FLAWSMITH_", extra="ignore")

    host: str = Field("127.0.0.1", description="address that the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="port that the API listens on")
    api_processes: int = Field(0, ge=0, description="processes of the API; 0: one for every four cores")
    data_dir: Path = Field(Path("data"), description="folder of the artifact store and of the embedded Redis")
    redis_url: str | None = Field(
        None, description="broker and cache; unset: `flawsmith serve` starts the embedded server"
    )
    api_keys: str = Field(
        "",
        description="comma-separated `KEY:SCOPE` (generate < train < admin; metrics); a bare `KEY` is admin;"
        " unset: no keys, and loopback only",
    )
    segment_seconds: float = Field(60.0, gt=0, description="longest time one training task runs, in seconds")
    threads: int = Field(0, ge=0, description="CPU threads of a worker; 0: one a core")
    job_kinds: str = Field(
        "", description="comma-separated modules with kinds of job from outside Flawsmith; each has a `KIND`"
    )
    device: str = Field("auto", description="`auto` (CUDA where there is one), `cpu` or `cuda:N`")
    preset_packages: str = Field(
        "",
        description="comma-separated packages, each with one more preset: its module `preset` is loaded by the API and"
        " the workers, its module `builder` by the workers; both must be importable where they are loaded",
    )
    loaded_generators: int = Field(
        8, ge=1, description="generators that a sampling worker keeps in memory; least recently used go first"
    )
    max_images_per_request: int = Field(256, ge=1, description="largest `count` of POST /generate")
    max_waiting_images: int = Field(
        4096, ge=1, description="images that may be asked for and not yet made; one caller may have half of them"
    )
    caller_images_per_second: float = Field(
        0.0, ge=0, description="images a second that one key, or address, may ask for on average; 0: no bound"
    )
    stock_bytes: int = Field(256 * MIB, ge=0, description="ready images in Redis, all models pipeline, in bytes")
    stock_bytes_per_model: int = Field(64 * MIB, ge=0, description="ready images of one model, in bytes")
    cache_bytes: int = Field(64 * MIB, ge=0, description="images in Redis that were asked for by address, in bytes")
    max_upload_bytes: int = Field(2048 * MIB, ge=1, description="largest upload, in bytes")
    max_unpacked_bytes: int = Field(8192 * MIB, ge=1, description="largest unpacked archive, in bytes")
    max_archive_entries: int = Field(50_000, ge=1, description="most entries of an archive, or files of an upload")
    max_image_pixels: int = Field(50_000_000, ge=1, description="most pixels of one photograph")
    min_image_side: int = Field(16, ge=1, description="shortest side of a photograph, in pixels")
    metrics_host: str = Field("127.0.0.1", description="address that a worker's own /metrics listens on")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="port of a worker's own /metrics; 0: a free one, told in its log"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level logged")

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("api_keys")
    @classmethod
    def _well_formed(cls, value: str) -> str:
        parse_api_keys(value)
        return value

    @field_validator("preset_packages")
    @classmethod
    def _importable(cls, value: str) -> str:
        for package in _listed(value):
            try:
                found = find_spec(f"{package}.preset")
            except ImportError:  # of the package itself
                found = None
            if found is None:
                raise ValueError(f"there is no module '{package}.preset'; is the package's folder in PYTHONPATH?")
        return value

    @model_validator(mode="after")
    def _room_for_a_request(self) -> "Settings":
        if self.max_waiting_images < self.max_images_per_request:
            raise ValueError("FLAWSMITH_MAX_WAITING_IMAGES must not be less than FLAWSMITH_MAX_IMAGES_PER_REQUEST")
        return self

    @property
    def keys(self) -> dict[str, Scope]:
        """API key -> its scope; empty where no keys are set."""
        return parse_api_keys(self.api_keys)

    @property
    def extra_preset_packages(self) -> list[str]:
        """The names in ``preset_packages``."""
        return _listed(self.preset_packages)


def _listed(text: str) -> list[str]:
    """``"a, b"`` -> ``["a", "b"]``."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_api_keys(text: str) -> dict[str, Scope]:
    """``"a:train,b"`` -> ``{"a": "train", "b": "admin"}``.

    Raises:
        ValueError: an unknown scope or an empty key.
    """
    scopes: dict[str, Scope] = {
        "generate": "generate",
        "train": "train",
        "admin": "admin",
        "metrics": "metrics",
    }
    keys: dict[str, Scope] = {}
    for entry in _listed(text):
        key, _, scope = entry.partition(":")
        if not key or (scope or "admin") not in scopes:
            raise ValueError("an entry of FLAWSMITH_API_KEYS is KEY or KEY:SCOPE, with a scope of " + ", ".join(scopes))
        keys[key] = scopes[scope or "admin"]
    return keys


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read from its environment once."""
    return Settings()
