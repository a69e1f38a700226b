"""Float32 in full precision on a GPU, for what must be the same wherever and whenever it is computed."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch.backends import cuda, cudnn


@contextmanager
def full_precision() -> Iterator[None]:
    """Within it a GPU computes float32 in full precision, with the same kernels every time.

    Elsewhere PyTorch's own choice holds, by which convolutions may round to TF32: training is faster so.
    """
    kept = cudnn.allow_tf32, cudnn.deterministic, cuda.matmul.allow_tf32
    cudnn.allow_tf32, cudnn.deterministic, cuda.matmul.allow_tf32 = False, True, False
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic, cuda.matmul.allow_tf32 = kept
