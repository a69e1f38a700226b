"""Gauges of the GPU that a worker uses, from NVIDIA's management library where nvidia-ml-py is installed."""

import logging
from collections.abc import Iterator

import torch
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)


class DeviceMetrics(Collector):
    """A collector: memory and utilisation of a CUDA device as a whole, whoever uses it; nothing of a CPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._index = str(device.index or 0)
        self._complained = False

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: asked for when it is registered, where a collector would otherwise collect."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self._device.type != "cuda":
            return
        try:
            used, total, utilization = _measured(self._device)
        except Exception as error:  # of the library's own kinds: a scrape must not fail for want of a gauge
            if not self._complained:
                log.warning("no metrics of %s: %s; nvidia-ml-py reads them", self._device, error)
            self._complained = True
            return
        yield self._gauge("flawsmith_device_memory_used_bytes", "Memory in use on this worker's GPU", used)
        yield self._gauge("flawsmith_device_memory_size_bytes", "Memory of this worker's GPU", total)
        text = "Share of the last second in which this worker's GPU computed"
        yield self._gauge("flawsmith_device_utilization_ratio", text, utilization)

    def _gauge(self, name: str, text: str, value: float) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=["device"])
        family.add_metric([self._index], value)
        return family


def _measured(device: torch.device) -> tuple[float, float, float]:
    """Bytes in use and in all, and utilisation (0 to 1). Raises ImportError, and `pynvml.NVMLError`."""
    import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]

    pynvml.nvmlInit()  # again and again: it only counts
    # By its UUID: the library numbers all GPUs of the machine, whatever CUDA_VISIBLE_DEVICES says.
    handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return memory.used, memory.total, pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
