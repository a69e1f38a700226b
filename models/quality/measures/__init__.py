"""One file a quality measure, or a family of them. Each declares `MEASURES`; see `models.quality.measure.Measure`."""
