"""A DCGAN that trains in milliseconds, for tests."""

from flawsmith.models.presets.dcgan.trainer import DcganConfig

CONFIG = DcganConfig(
    resolution=32,
    channels=1,
    seed=3,
    latent_size=8,
    generator_depth=4,
    discriminator_depth=4,
    generator_learning_rate=1e-4,
    discriminator_learning_rate=4e-4,
    beta1=0.5,
    beta2=0.999,
    batch_size=4,
    precision="float32",
)
