"""Losses on the discriminator's logits."""

from torch import Tensor
from torch.nn.functional import softplus


def real_loss(logits: Tensor) -> Tensor:
    """Binary cross-entropy of "real": mean of -log sigmoid(logit) (Goodfellow et al. 2014, eq. 1). (B,) -> ()."""
    return softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """Binary cross-entropy of "fake": mean of -log(1 - sigmoid(logit)) (Goodfellow et al. 2014, eq. 1). (B,) -> ()."""
    return softplus(logits).mean()


def relativistic_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Asks each real image to score higher than its fake partner: mean of softplus(D(G(z)) - D(x)).

    RpGAN: Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.1; as the loss of R3GAN, Huang et al. 2024,
    arXiv:2501.05441, eq. 2. Only differences of logits matter, so their level may drift freely.

    Args:
        real_logits: (B,).
        fake_logits: (B,), of the partners in the same order.
    """
    return softplus(fake_logits - real_logits).mean()


def relativistic_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Asks each fake image to score higher than its real partner: mean of softplus(D(x) - D(G(z))); (B,), (B,) -> ().

    The counterpart of `relativistic_discriminator_loss`.
    """
    return softplus(real_logits - fake_logits).mean()
