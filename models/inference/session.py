"""A trained generator made ready to draw: fast, and with the same bytes for the same latent, whatever its neighbours.

Batch norm is fuse_batch_norm into the convolution before it, feature maps lie channels-last, and every pass has one shape, since
kernels may differ between batch sizes.
"""

import copy
import threading
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from flawsmith.models.pixels import to_bytes

Precision = Literal["float32", "bfloat16"]
_PRECISIONS: tuple[Precision, Precision] = ("float32", "bfloat16")


class InferenceSession:
    """A generator that only draws.

    Args:
        generator: maps (B, L) latents and (B,) int64 types to (B, C, H, W) in [-1, 1]; it is left as it is.
        latent_size: L.
        batch: latents in every pass, padded.
        precision: of weights and feature maps. With bfloat16 the first and the last convolution stay in float32: they
            cost little, and what they lose shows most.
        device: where it draws. On CUDA the whole pass is one captured graph.
    """

    def __init__(
        self, generator: nn.Module, latent_size: int, batch: int, precision: Precision, device: torch.device
    ) -> None:
        self.latent_size = latent_size
        self.network = fuse_batch_norm(generator).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if precision != "float32":
            _lower(self.network, getattr(torch, precision))
        self.latents = torch.zeros(batch, latent_size, device=device)
        self.type_index = torch.zeros(batch, dtype=torch.int64, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._in_turn = threading.Lock()  # the graph works in memory of its own
        if device.type == "cuda":
            self._capture(device)

    def __call__(self, latents: Tensor, type_index: Tensor) -> Tensor:
        """(B, L) float32 and (B,) int64 on the CPU, B up to ``batch`` -> (B, H, W, C) uint8 on the CPU.

        May be called from several threads at once.
        """
        count = len(latents)
        if self._graph is None:
            return self._draw(_filled(self.latents, latents), _filled(self.type_index, type_index))[:count]
        with self._in_turn:
            self.latents[:count].copy_(latents, non_blocking=True)
            self.type_index[:count].copy_(type_index, non_blocking=True)
            self._graph.replay()
            return self._drawn[:count].cpu()

    def _draw(self, latents: Tensor, type_index: Tensor) -> Tensor:
        with torch.inference_mode():
            return to_bytes(self.network(latents, type_index)).permute(0, 2, 3, 1).contiguous()

    def _capture(self, device: torch.device) -> None:
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(3):  # libraries choose kernels and allocate before a capture, not within
                self._draw(self.latents, self.type_index)
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device), torch.cuda.graph(graph, stream=stream):
            self._drawn = self._draw(self.latents, self.type_index)
        self._graph = graph


def _filled(blank: Tensor, values: Tensor) -> Tensor:
    """A copy of ``blank`` with these values in its first places."""
    filled = blank.clone()
    filled[: len(values)] = values
    return filled


def fuse_batch_norm(generator: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose batch norms are part of the convolutions before them."""
    network = copy.deepcopy(generator).eval().float()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            _fuse(module)
    return network.requires_grad_(False)


def qualified_precision(
    generator: nn.Module, latents: Tensor, type_index: Tensor, batch: int, device: torch.device
) -> Precision:
    """The fastest precision whose images are within one gray level of float32's on these latents.

    bfloat16 is taken only where the device computes in it natively.
    """
    if not _has_bfloat16(device):
        return "float32"
    size = latents.shape[1]
    exact, fast = (InferenceSession(generator, size, batch, each, device) for each in _PRECISIONS)
    for start in range(0, len(latents), batch):
        told = latents[start : start + batch], type_index[start : start + batch]
        if (exact(*told).int() - fast(*told).int()).abs().max() > 1:
            return "float32"
    return "bfloat16"


def _lower(network: nn.Module, dtype: torch.dtype) -> None:
    """Computes in ``dtype`` between the first and the last convolution."""
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.ConvTranspose2d)]
    for each in convolutions[1:-1]:
        each.to(dtype)
    for each in convolutions:
        each.register_forward_pre_hook(lambda module, given: (given[0].to(module.weight.dtype),))


def _fuse(layers: nn.Sequential) -> None:
    kept: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d) and kept and isinstance(kept[-1], nn.Conv2d | nn.ConvTranspose2d):
            kept[-1] = fuse_conv_bn_eval(kept[-1], layer, transpose=isinstance(kept[-1], nn.ConvTranspose2d))
        else:
            kept.append(layer)
    while len(layers):
        layers.pop(-1)
    layers.extend(kept)


def device_kind(device: torch.device) -> str:
    """What decides which kernels a device draws with: ``cuda:9.0``, ``cpu:amx``, ``cpu:avx512_bf16`` or ``cpu``."""
    if device.type == "cuda":
        return "cuda:{}.{}".format(*torch.cuda.get_device_capability(device))
    if torch.cpu._is_amx_tile_supported():
        return "cpu:amx"
    return "cpu:avx512_bf16" if torch.cpu._is_avx512_bf16_supported() else "cpu"


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device_kind(device) != "cpu"
