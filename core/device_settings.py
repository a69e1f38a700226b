"""The settings of the device that a worker computes on. `core.settings` has the others."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class DeviceSettings(BaseSettings):
    """Read from the environment like those of `Settings`, which extends this class."""

    device: str = Field("auto", description="`auto` (CUDA if there is a GPU), `cpu` or `cuda:N`")
    train_devices: int = Field(
        0,
        ge=0,
        description="devices on which a training worker may train one job with `devices`: its own and the next ones of"
        " the machine; 0: all GPUs that it sees. On the CPU they are processes, 1 unless this says more",
    )
    device_memory_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of its GPU's memory that a worker may use, above 0 to 1, where others use the GPU too; a job"
        " that needs more fails and says so. Without effect on a CPU",
    )
    sampling_first: Literal["auto", "on", "off"] = Field(
        "auto",
        description="whether training begins no step while a sampling worker samples on the same device; `auto`: on a"
        " GPU; the same for all workers",
    )
