"""One file a feature space of the verdict. Each declares `SPACES`; see `models.quality.space.Space`."""
