"""Records a step's GPU work once, as a CUDA graph, and replays it.

A step on few small images is hundreds of short kernels; launching them takes longer than computing them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_STEPS = 3  # before recording, so that tensors made on first use, such as optimiser state, exist

Step = Callable[[dict[str, Tensor]], dict[str, Tensor]]


class CapturedStep:
    """Runs a step a few times as it is, then replays its recording on the inputs given.

    Args:
        step: from inputs to measured values, all on the device and of the same shapes at each call. It must not wait
            for the device, and must change any other tensor in place.
        device: CUDA.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        self._step, self._device = step, device
        self.reset()

    def __call__(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.cuda.device(self._device):
            return self._run(inputs)

    @property
    def recorded(self) -> bool:
        return self._graph is not None

    def reset(self) -> None:
        """Drops the recording. Call it when a tensor that the step changes was replaced by another."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm_steps = 0

    def _run(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if self._graph is None and self._warm_steps < WARM_STEPS:
            self._warm_steps += 1
            return self._run_eagerly(inputs)
        if self._graph is None:
            self._record(inputs)
        assert self._graph is not None
        for name, each in inputs.items():
            self._inputs[name].copy_(each)
        self._graph.replay()
        return {name: each.clone() for name, each in self._measured.items()}

    def _run_eagerly(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """On a side stream, as PyTorch requires before a recording."""
        usual, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(usual)
        with torch.cuda.stream(side):
            measured = self._step(inputs)
        usual.wait_stream(side)
        return measured

    def _record(self, inputs: dict[str, Tensor]) -> None:
        self._inputs = {name: each.clone() for name, each in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._measured = self._step(self._inputs)
        self._graph = graph
