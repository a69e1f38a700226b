"""How several processes train the same networks: each computes with a share of every batch.

All processes hold the same weights and draw the same random numbers, so that only gradients, statistics of batches and
what is measured pass between them: the weights are those of one process but for the order of sums. The processes form
torch's default process group.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


class Share:
    """The whole of each batch: a process that trains alone."""

    def rows(self, count: int) -> slice:
        """Which rows of the next batch, of ``count`` photographs, this process computes with."""
        return slice(count)

    def synchronised(self, network: nn.Module) -> nn.Module:
        """What to call in place of the network where `backward` is to give its gradients for the whole batch."""
        return network

    def backward(self, loss: Tensor) -> None:
        """Computes the gradients of a mean over this process's rows, () float32."""
        loss.backward()

    def average_gradients(self, network: nn.Module) -> None:
        """Makes gradients that did not come from `backward`, of this process's rows, those of the whole batch."""

    def mean(self, measured: dict[str, Tensor]) -> dict[str, Tensor]:
        """Means over this process's rows, () float32 each, as means over the whole batch."""
        return measured


class OneOfSeveral(Share):
    """One of ``count`` shares that are equal, or differ by one photograph.

    A batch of fewer photographs than shares is computed with by every process.

    Args:
        rank: of this process, 0 … count - 1.
        count: processes.
    """

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count
        self._weight = 1.0  # of this process's means in those of the batch, times ``count``
        self.copies = 1  # how many processes compute with each row

    def rows(self, count: int) -> slice:
        if count < self.count:
            self._weight, self.copies = 1.0, self.count
            return slice(count)
        start, end = (count * rank // self.count for rank in (self.rank, self.rank + 1))
        self._weight, self.copies = (end - start) * self.count / count, 1
        return slice(start, end)

    def synchronised(self, network: nn.Module) -> nn.Module:
        """The network in `DistributedDataParallel`; its batch norms take the statistics of the whole batch."""
        _share_batch_norms(network, self)
        device = next(network.parameters()).device
        with warnings.catch_warnings():  # PyTorch 2.13 has another name for it, which earlier ones do not know
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            return DistributedDataParallel(
                network, device_ids=[device] if device.type == "cuda" else None, broadcast_buffers=False
            )

    def backward(self, loss: Tensor) -> None:
        (self._weight * loss).backward()

    def average_gradients(self, network: nn.Module) -> None:
        gradients = [each.grad for each in network.parameters() if each.grad is not None]
        flat = torch.cat([each.flatten() for each in gradients]) * (self._weight / self.count)
        distributed.all_reduce(flat)
        for gradient, average in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(average.view(gradient.shape))

    def mean(self, measured: dict[str, Tensor]) -> dict[str, Tensor]:
        together = torch.stack(list(measured.values())) * (self._weight / self.count)
        distributed.all_reduce(together)
        return dict(zip(measured, together, strict=True))


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the rows of all processes. torch's own, `SyncBatchNorm`, has no form for the CPU.

    Args:
        other: what it takes the place of; parameters and buffers are the same tensors.
        share: of this process.
    """

    def __init__(self, other: nn.BatchNorm2d, share: OneOfSeveral) -> None:
        super().__init__(other.num_features, other.eps, other.momentum, device="meta")
        self._parameters, self._buffers = other._parameters, other._buffers
        self.share = share
        self.train(other.training)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W), B the rows of this process."""
        if not self.training:
            return super().forward(features)
        values = features.float()
        count = values.new_full((1,), values.numel() / values.shape[1])
        *sums, total = _summed(torch.cat([values.sum((0, 2, 3)), count])).split([values.shape[1], 1])
        mean = sums[0] / total
        centred = values - mean[:, None, None]
        variance = _summed(centred.square().sum((0, 2, 3))) / total
        scale = self.weight * (variance + self.eps).rsqrt()
        self._follow(mean.detach(), variance.detach(), total.detach() / self.share.copies)
        normalised: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return normalised.to(features.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Moves the running statistics towards those of a batch; the variance becomes that of a sample."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


def _share_batch_norms(network: nn.Module, share: OneOfSeveral) -> None:
    found: Mapping[str, nn.Module] = dict(network.named_modules())
    for name, module in found.items():
        if isinstance(module, nn.BatchNorm2d) and not isinstance(module, SharedBatchNorm):
            parent, _, own = name.rpartition(".")
            setattr(found[parent], own, SharedBatchNorm(module, share))
