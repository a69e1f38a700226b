"""All settings. Each is read from an environment variable: its name in capitals with the prefix ``FLAWSMITH_``."""

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from flawsmith.core.device_settings import DeviceSettings
from flawsmith.core.domain.production_gate import Demand
from flawsmith.core.domain.retention import Rule, parse_retention
from flawsmith.core.protection_settings import ProtectionSettings
from flawsmith.core.redis_settings import RedisSettings
from flawsmith.core.setting_values import (
    Scope,
    can_send_traces,
    check_modules,
    is_webhook_secret,
    listed,
    listed_secrets,
    parse_api_keys,
    read_secret,
)
from flawsmith.core.store_settings import StoreSettings
from flawsmith.core.tracker_settings import TrackerSettings

MIB = 1024 * 1024
_DEMANDS: tuple[Demand, ...] = get_args(Demand)
_ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_COLLECTOR = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
SECRETS = (
    "api_keys",
    "redis_url",
    "image_redis_url",
    "webhook_secrets",
    "mlflow_tracking_uri",
)  # never printed; each may be read from a file that NAME_file names


class Settings(RedisSettings, ProtectionSettings, StoreSettings, TrackerSettings, DeviceSettings):
    """The settings of a service, with their defaults. The documentation lists all of them; a test checks that."""

    model_config = SettingsConfigDict(env_prefix="FLAWSMITH_", extra="ignore", hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="address that the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="port that the API listens on")
    api_processes: int = Field(0, ge=0, description="processes of the API; 0: one per four CPUs that it may use")
    drain_seconds: float = Field(
        30.0, ge=0, description="longest time that the API takes after SIGTERM to end the calls that it has accepted"
    )
    data_dir: Path = Field(Path("data"), description="folder of the artifact store and of the embedded Redis")
    api_keys: str = Field(
        "",
        repr=False,
        description="comma-separated `KEY:SCOPE` (generate < train < admin; metrics); a bare `KEY` is admin;"
        " unset: no keys, and loopback only",
    )
    api_keys_file: Path | None = Field(
        None, description="file with FLAWSMITH_API_KEYS, in its place; an entry may also end with its line"
    )
    trusted_proxies: str = Field(
        "",
        description="comma-separated addresses or networks of reverse proxies whose `X-Forwarded-For` and"
        " `X-Forwarded-Proto` are believed; unset: of none",
    )
    root_path: str = Field(
        "",
        description="path that a reverse proxy serves this service under, such as `/flawsmith`; the proxy may pass it"
        " on or take it off",
    )
    cors_origins: str = Field(
        "",
        description="comma-separated origins whose web pages may call, such as `https://app.example.com`; `*`: all of"
        " them, where API keys are set",
    )
    public_documents: bool = Field(
        True, description="whether `/docs`, `/openapi.json` and `/llms.txt` need no key where API keys are set"
    )
    max_connections: int = Field(
        1000,
        ge=1,
        description="most open connections of one API process; at most half of its file descriptors. A new one takes"
        " the place of the one that has been idle for longest, else of the one whose body arrives slowest; where all"
        " are at work it gets 503",
    )
    max_queued_jobs: int = Field(
        10_000, ge=1, description="most jobs that may be queued at a time; one caller may have half of them"
    )
    segment_seconds: float = Field(60.0, gt=0, description="longest time that one training task runs, in seconds")
    threads: int = Field(0, ge=0, description="CPU threads of a worker; 0: one per CPU that it may use")
    train_niceness: int = Field(
        19, ge=0, le=19, description="niceness of a training worker; 19: it goes last, see docs/operations.md"
    )
    keep_checkpoints: bool = Field(
        False, description="whether jobs that succeeded keep their checkpoints; nothing continues from them"
    )
    reports: bool = Field(True, description="whether the quality report of each trained version is made by itself")
    drift_hours: float = Field(
        24.0,
        ge=0,
        description="hours between two looks at what a version serves, by the measures of its report; 0: never",
    )
    preset_packages: str = Field(
        "",
        description="comma-separated packages, each with one more preset: its module `preset` is loaded by the API and"
        " the workers, its module `builder` by the workers; both must be importable where they are loaded",
    )
    priors_dir: Path | None = Field(
        None,
        description="folder with more priors for training jobs to start from, as `make prior` writes them; they come"
        " before those of the package",
    )
    job_kinds: str = Field(
        "",
        description="comma-separated modules, each with one more kind of job as its `KIND`; the API and the workers"
        " load them",
    )
    loaded_generators: int = Field(
        8, ge=1, description="generators that a sampling worker keeps in memory; it drops the least recently used"
    )
    max_images_per_request: int = Field(256, ge=1, description="largest `count` of POST /generate")
    max_waiting_images: int = Field(
        4096, ge=1, description="most images that may be requested and not yet made; one caller may have half of them"
    )
    stock_bytes: int = Field(
        256 * MIB, ge=0, description="size of the image pool in Redis, all models together, in bytes"
    )
    stock_bytes_per_model: int = Field(64 * MIB, ge=0, description="size of the image pool of one model, in bytes")
    cache_bytes: int = Field(64 * MIB, ge=0, description="size of the cache of images requested by seed, in bytes")
    max_upload_bytes: int = Field(2048 * MIB, ge=1, description="largest size of an upload, in bytes")
    max_unpacked_bytes: int = Field(8192 * MIB, ge=1, description="largest size of an unpacked archive, in bytes")
    max_archive_entries: int = Field(50_000, ge=1, description="most entries in an archive, or files in an upload")
    max_image_pixels: int = Field(50_000_000, ge=1, description="most pixels in a photograph")
    max_upload_pixels: int = Field(
        20_000_000_000, ge=1, description="most pixels in all photographs of an upload together"
    )
    min_image_side: int = Field(16, ge=1, description="shortest side of a photograph, in pixels")
    metrics_host: str = Field("127.0.0.1", description="address that the /metrics of a worker listens on")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="port of the /metrics of a worker; 0: a free port, which its log names"
    )
    metrics_file: Path | None = Field(
        None,
        description="file in which the API keeps the counts of its `/metrics`, so that none falls when it restarts;"
        " unset: `flawsmith serve` has one in the data folder, an API by itself begins at zero",
    )
    production_demands: str = Field(
        "verdict,uplift",
        description="comma-separated: what PUT …/aliases/production demands of a version without an `override`:"
        " `verdict` (not failing), `uplift` (no evaluation says that its images hurt a classifier); `none`: nothing",
    )
    webhook_secrets: str = Field(
        "",
        repr=False,
        description="comma-separated `whsec_…`, as `flawsmith webhook-secret` prints them; each signs every message of"
        " a webhook, so that two may be known while one takes the place of the other; unset: no webhooks",
    )
    webhook_secrets_file: Path | None = Field(None, description="file with FLAWSMITH_WEBHOOK_SECRETS, in its place")
    webhook_private_networks: str = Field(
        "",
        description="comma-separated networks, such as `10.0.0.0/8`, to which messages of webhooks may go beside public"
        " addresses",
    )
    retention: str = Field(
        "",
        description="comma-separated rules `KIND:AGE`, `KIND:SIZE` or `KIND:AGE:SIZE`, such as"
        " `jobs:90d,exports:14d:50GB`, of what is deleted; unset: nothing",
    )
    gc_hours: float = Field(
        24.0, ge=0, description="hours between two looks for what FLAWSMITH_RETENTION deletes; 0: `flawsmith gc` only"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level of log lines")
    log_format: Literal["text", "json"] = Field(
        "text", description="`text`: lines for people; `json`: objects, one a line"
    )
    otlp_endpoint: str = Field(
        "", description="collector that traces go to by OTLP over HTTP, such as `http://collector:4318`; unset: nowhere"
    )

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        found = {name: read_secret(name, Path(path)) for name in SECRETS if (path := given.get(f"{name}_file"))}
        for name in found:
            if given.get(name):
                raise ValueError(f"set FLAWSMITH_{name.upper()} or FLAWSMITH_{name.upper()}_FILE, not both")
        return {**given, **found}

    @field_validator("data_dir", "priors_dir", "metrics_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()

    @field_validator("api_keys")
    @classmethod
    def _well_formed(cls, value: str) -> str:
        parse_api_keys(value)
        return value

    @field_validator("webhook_secrets")
    @classmethod
    def _signing(cls, value: str) -> str:
        for number, each in enumerate(listed_secrets(value), 1):
            if not is_webhook_secret(each):
                raise ValueError(
                    f"entry {number} is no `whsec_` and base64 of 24 to 64 bytes; `flawsmith webhook-secret`"
                )
        return value

    @field_validator("webhook_private_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for each in listed(value):
            try:
                ip_network(each)
            except ValueError as error:
                raise ValueError(f"{error}; give networks such as 10.0.0.0/8, separated by commas") from None
        return value

    @field_validator("retention")
    @classmethod
    def _rules(cls, value: str) -> str:
        parse_retention(value)
        return value

    @field_validator("root_path")
    @classmethod
    def _path(cls, value: str) -> str:
        path = value.strip().rstrip("/")
        if path and not _ROOT_PATH.fullmatch(path):
            raise ValueError(
                "a path such as /flawsmith: it begins with '/' and has letters, digits, '.', '_', '-', '~'"
            )
        return path

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, value: str) -> str:
        for number, origin in enumerate(listed(value), 1):
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"entry {number} is no origin such as https://app.example.com or http://localhost:5173"
                )
        return value

    @field_validator("preset_packages")
    @classmethod
    def _presets_found(cls, value: str) -> str:
        check_modules(f"{package}.preset" for package in listed(value))
        return value

    @field_validator("job_kinds")
    @classmethod
    def _kinds_found(cls, value: str) -> str:
        check_modules(listed(value))
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector(cls, value: str) -> str:
        if value and not _COLLECTOR.fullmatch(value):
            raise ValueError("the address of a collector, such as http://collector:4318, without user and password")
        if value and not can_send_traces():
            raise ValueError("traces need the extra `otel`: pip install 'flawsmith[otel]'")
        return value

    @field_validator("production_demands")
    @classmethod
    def _known_demands(cls, value: str) -> str:
        named = listed(value)
        if not named or not set(named) <= {"none", *_DEMANDS} or ("none" in named and len(named) > 1):
            raise ValueError(f"name one or several of {', '.join(_DEMANDS)}, separated by commas, or none")
        return value

    @model_validator(mode="after")
    def _keys_for_all_origins(self) -> "Settings":
        if "*" in self.origins and not self.keys and not self.require_keys:
            raise ValueError(
                "FLAWSMITH_CORS_ORIGINS=* needs FLAWSMITH_API_KEYS, or FLAWSMITH_REQUIRE_KEYS=true: without keys every"
                " web page could use this service; list the origins instead"
            )
        return self

    @model_validator(mode="after")
    def _room_for_a_request(self) -> "Settings":
        if self.max_waiting_images < self.max_images_per_request:
            raise ValueError("FLAWSMITH_MAX_WAITING_IMAGES must not be less than FLAWSMITH_MAX_IMAGES_PER_REQUEST")
        return self

    @property
    def keys(self) -> dict[str, Scope]:
        """Maps each API key to its scope; empty if no keys are set."""
        return parse_api_keys(self.api_keys)

    @property
    def origins(self) -> list[str]:
        """The names in ``cors_origins``."""
        return listed(self.cors_origins)

    @property
    def demands(self) -> frozenset[Demand]:
        """What is demanded of a version in production."""
        return frozenset(each for each in _DEMANDS if each in listed(self.production_demands))

    @property
    def webhook_signing_secrets(self) -> list[str]:
        """The secrets in ``webhook_secrets``."""
        return listed_secrets(self.webhook_secrets)

    @property
    def webhook_networks(self) -> list[IPv4Network | IPv6Network]:
        """The networks in ``webhook_private_networks``."""
        return [ip_network(each) for each in listed(self.webhook_private_networks)]

    @property
    def retention_rules(self) -> dict[str, Rule]:
        """The rules in ``retention``."""
        return parse_retention(self.retention)

    @property
    def extra_preset_packages(self) -> list[str]:
        """The names in ``preset_packages``."""
        return listed(self.preset_packages)

    @property
    def job_kind_modules(self) -> list[str]:
        """The names in ``job_kinds``."""
        return listed(self.job_kinds)


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read from its environment once."""
    return Settings()
