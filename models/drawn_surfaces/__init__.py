"""Drawn photographs of surfaces and flaws: what a network can learn from before anybody's photographs are there.

`draw` makes one from a seed. Nothing here imports torch, and nothing in the service imports this package: only
what trains a prior does.
"""

from flawsmith.models.drawn_surfaces.composition import FLAWS, SURFACES, Picture, draw, picture

__all__ = ["FLAWS", "SURFACES", "Picture", "draw", "picture"]
