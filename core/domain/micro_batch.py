"""The size of every pass of a generator."""

MICRO_BATCH = 16
"""Images in one pass. Smaller passes are padded: kernels may differ between batch sizes, and an image's bytes must not.
So this number belongs to every image ever given out, and never changes."""
