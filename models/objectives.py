"""What the two networks are asked to do, as losses on the discriminator's logits."""

import torch
from torch import Tensor
from torch.nn.functional import softplus


def real_loss(logits: Tensor) -> Tensor:
    """Binary cross-entropy of "real": mean of -log sigmoid(logit) (Goodfellow et al. 2014, eq. 1). (B,) -> ()."""
    return softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """Binary cross-entropy of "fake": mean of -log(1 - sigmoid(logit)) (Goodfellow et al. 2014, eq. 1). (B,) -> ()."""
    return softplus(logits).mean()


def relativistic_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Each real image is to look more real than the fake one it is paired with: mean of softplus(D(G(z)) - D(x)).

    RpGAN: Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.1; as the loss of R3GAN, Huang et al. 2024,
    arXiv:2501.05441, eq. 2. Only differences of logits matter, so their level may drift freely.

    Args:
        real_logits: (B,).
        fake_logits: (B,), of the partners in the same order.
    """
    return softplus(fake_logits - real_logits).mean()


def relativistic_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Each fake image is to look more real than its real partner: mean of softplus(D(x) - D(G(z))); (B,), (B,) -> ().

    The other side of `relativistic_discriminator_loss`.
    """
    return softplus(real_logits - fake_logits).mean()


def squared_gradient_norms(logits: Tensor, images: Tensor) -> Tensor:
    """||d logit / d image||^2 of each image, summed over its values; (B,), (B, C, H, W) -> (B,), differentiable.

    Half of gamma times the mean over real images is R1, over fake ones R2: zero-centred penalties (Mescheder et al.
    2018, arXiv:1801.04406, eq. 9 and 10), which R3GAN (arXiv:2501.05441, section 3.1) needs both of. For both at once,
    ``logits`` and ``images`` hold real and fake ones one after the other.

    Args:
        logits: of the images; each must depend on its own image only.
        images: what the augmentation was applied to, not what came out of it; requires gradients.
    """
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.square().sum((1, 2, 3))
