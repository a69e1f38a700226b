"""What the two networks are asked to do, as losses on the discriminator's logits."""

from torch import Tensor
from torch.nn.functional import softplus


def real_loss(logits: Tensor) -> Tensor:
    """Binary cross-entropy of "real": mean of -log sigmoid(logit) (Goodfellow et al. 2014, eq. 1). (B,) -> ()."""
    return softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """Binary cross-entropy of "fake": mean of -log(1 - sigmoid(logit)) (Goodfellow et al. 2014, eq. 1). (B,) -> ()."""
    return softplus(logits).mean()
