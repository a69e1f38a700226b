"""How a GPU computes float32: in full precision where images are made, as PyTorch chooses elsewhere."""

import pytest
import torch
from torch.backends import cuda, cudnn

from flawsmith.models.inference.full_precision import full_precision
from flawsmith.models.inference.session import InferenceSession
from flawsmith.models.presets.dcgan.networks import Generator


def chosen() -> tuple[bool, bool, bool]:
    return cudnn.allow_tf32, cudnn.deterministic, cuda.matmul.allow_tf32


def test_it_holds_in_its_block_and_no_longer() -> None:
    """A job's arithmetic must not depend on what its worker did before."""
    before = chosen()
    assert before[0], "convolutions of training may round to TF32"
    with pytest.raises(RuntimeError, match="out of memory"), full_precision():
        assert chosen() == (False, True, False)
        raise RuntimeError("out of memory")
    assert chosen() == before


@pytest.mark.gpu
def test_a_session_on_a_gpu_leaves_the_choice_to_others() -> None:
    before = chosen()
    InferenceSession(Generator(32, 1, 20, 8, 1).eval(), 20, 16, "float32", torch.device("cuda"))
    assert chosen() == before
