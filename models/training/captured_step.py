"""A step's work on a GPU recorded once, as a CUDA graph, and then replayed.

A step on few small images is hundreds of short kernels, and launching them takes longer than computing them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_STEPS = 3  # before anything is recorded, so that what is made when first needed, as optimisers' states, is there

Step = Callable[[dict[str, Tensor]], dict[str, Tensor]]


class CapturedStep:
    """Runs a step a few times as it is; later calls replay it on the inputs given.

    Args:
        step: from inputs to what it measured, all on the device and of the same shapes at each call. It does not wait
            for the device, and what it changes beside, it changes in place.
        device: CUDA.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        self._step, self._device = step, device
        self.forget()

    def __call__(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.cuda.device(self._device):
            return self._run(inputs)

    @property
    def recorded(self) -> bool:
        return self._graph is not None

    def _run(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if self._graph is None and self._warm_steps < WARM_STEPS:
            self._warm_steps += 1
            return self._as_it_is(inputs)
        if self._graph is None:
            self._record(inputs)
        assert self._graph is not None
        for name, each in inputs.items():
            self._inputs[name].copy_(each)
        self._graph.replay()
        return {name: each.clone() for name, each in self._measured.items()}

    def forget(self) -> None:
        """To be called when a tensor that the step changes was replaced by another: what was recorded is of the old."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm_steps = 0

    def _as_it_is(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """On another stream than the usual, as PyTorch asks of what is to be recorded later."""
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
