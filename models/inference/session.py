"""Inference: samples a trained generator fast, and with the same bytes for a latent whatever else is in its batch.

Batch norm is fused into the convolution before it, feature maps lie channels-last, and every pass has one shape, since
kernels may differ between batch sizes.
"""

import copy
import threading
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from flawsmith.models.inference.full_precision import full_precision
from flawsmith.models.pixels import to_bytes
from flawsmith.models.presets.generator import PresetGenerator

EVERY_ANGLE = (0.0, 180.0)

Precision = Literal["float32", "bfloat16"]


class InferenceSession:
    """A generator in evaluation mode on one device, ready to sample.

    Args:
        generator: maps (B, L) latents and (B,) int64 types to (B, C, H, W) in [-1, 1]; the session works on a copy.
        latent_size: L.
        batch: latents in every pass; smaller batches are padded.
        precision: of weights and feature maps. With bfloat16, the first and the last convolution stay in float32: they
            cost little, and their rounding errors would show most.
        device: on CUDA, the whole pass is one captured graph, in full precision.

    Attributes:
        takes_angles: whether the directions of the images' lines can be given.
    """

    def __init__(
        self, generator: nn.Module, latent_size: int, batch: int, precision: Precision, device: torch.device
    ) -> None:
        self.latent_size = latent_size
        self.takes_angles = isinstance(generator, PresetGenerator) and generator.direction
        self.network = fuse_batch_norm(generator).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if precision != "float32":
            _lower_precision(self.network, getattr(torch, precision))
        self.latents = torch.zeros(batch, latent_size, device=device)
        self.type_index = torch.zeros(batch, dtype=torch.int64, device=device)
        self.angles = torch.tensor([EVERY_ANGLE], device=device).repeat(batch, 1)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._one_at_a_time = threading.Lock()  # the graph works in its own memory
        if device.type == "cuda":
            with full_precision():
                self._capture(device)

    def sample(self, latents: Tensor, type_index: Tensor, angles: Tensor | None = None) -> Tensor:
        """Samples images. May be called from several threads at once.

        Args:
            latents: (B, L) float32, B up to ``batch``. All arguments are on the CPU.
            type_index: (B,) int64.
            angles: (B, 2) float32, from which to which angle the lines run, see `PresetGenerator.drawn_directions`;
                None: every angle.

        Returns:
            (B, H, W, C) uint8 on the CPU.

        Raises:
            ValueError: angles are given, and the generator takes none.
        """
        if angles is not None and not self.takes_angles:
            raise ValueError("this generator takes no angles")
        count = len(latents)
        if angles is None:
            angles = torch.tensor([EVERY_ANGLE]).expand(count, 2)
        inputs = [(self.latents, latents), (self.type_index, type_index), (self.angles, angles)]
        if self._graph is None:
            return self._pass(*(_filled(*each) for each in inputs))[:count].cpu()
        with self._one_at_a_time:
            for buffer, values in inputs:
                buffer[:count].copy_(values, non_blocking=True)
            self._graph.replay()
            return self._pixels[:count].cpu()

    def _pass(self, latents: Tensor, type_index: Tensor, angles: Tensor) -> Tensor:
        # Directions are given to the network even where every angle will do: an image's bytes must not depend on what
        # others of its micro-batch were asked to be.
        with torch.inference_mode():
            given = (self.network.drawn_directions(latents, type_index, angles),) if self.takes_angles else ()
            return to_bytes(self.network(latents, type_index, *given)).permute(0, 2, 3, 1).contiguous()

    def _capture(self, device: torch.device) -> None:
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(3):  # libraries choose kernels and allocate before a capture, not within
                self._pass(self.latents, self.type_index, self.angles)
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device), torch.cuda.graph(graph, stream=stream):
            self._pixels = self._pass(self.latents, self.type_index, self.angles)
        self._graph = graph


def fuse_batch_norm(generator: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose batch norms are part of the convolutions before them."""
    network = copy.deepcopy(generator).eval().float()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            _fuse(module)
    return network.requires_grad_(False)


def qualified_precision(
    generator: nn.Module,
    latents: Tensor,
    type_index: Tensor,
    batch: int,
    device: torch.device,
    candidates: Sequence[Precision],
) -> Precision:
    """The first candidate whose images are within one gray level of float32's on these latents; float32 if none is.

    Args:
        generator, latents, type_index, batch, device: as for `InferenceSession`, but any number of latents.
        candidates: precisions, the fastest first; see `native_precisions`.
    """
    faster = [each for each in candidates if each != "float32"]
    if not faster:
        return "float32"
    size = latents.shape[1]
    exact = InferenceSession(generator, size, batch, "float32", device)
    for precision in faster:
        fast = InferenceSession(generator, size, batch, precision, device)
        given = zip(latents.split(batch), type_index.split(batch), strict=True)
        if all((exact.sample(*each).int() - fast.sample(*each).int()).abs().max() <= 1 for each in given):
            return precision
    return "float32"


def native_precisions(device: torch.device) -> tuple[Precision, ...]:
    """The precisions that the device computes in natively, the fastest first."""
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        has_bfloat16 = device_kind(device) != "cpu"
    return ("bfloat16", "float32") if has_bfloat16 else ("float32",)


def device_kind(device: torch.device) -> str:
    """What decides which kernels a device runs: ``cuda:9.0``, ``cpu:amx``, ``cpu:avx512_bf16`` or ``cpu``."""
    if device.type == "cuda":
        return "cuda:{}.{}".format(*torch.cuda.get_device_capability(device))
    if torch.cpu._is_amx_tile_supported():
        return "cpu:amx"
    return "cpu:avx512_bf16" if torch.cpu._is_avx512_bf16_supported() else "cpu"


def _filled(blank: Tensor, values: Tensor) -> Tensor:
    """A copy of ``blank`` with these values in its first rows."""
    filled = blank.clone()
    filled[: len(values)] = values
    return filled


def _lower_precision(network: nn.Module, dtype: torch.dtype) -> None:
    """Makes the network compute in ``dtype`` between its first and its last convolution."""
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.ConvTranspose2d)]
    for each in convolutions[1:-1]:
        each.to(dtype)
    for each in convolutions:
        each.register_forward_pre_hook(lambda module, given: (given[0].to(module.weight.dtype),))


def _fuse(layers: nn.Sequential) -> None:
    fused: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d) and fused and isinstance(fused[-1], nn.Conv2d | nn.ConvTranspose2d):
            fused[-1] = fuse_conv_bn_eval(fused[-1], layer, transpose=isinstance(fused[-1], nn.ConvTranspose2d))
        else:
            fused.append(layer)
    while len(layers):
        layers.pop(-1)
    layers.extend(fused)
