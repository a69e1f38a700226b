"""Outlines of masks, for layouts that hold polygons, and what is lost by them."""

import contourpy
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_masks

Polygon = NDArray[np.float64]
"""(N, 2): the corners' x and y in pixels, from the left upper corner of the image; not closed."""


def outlines(mask: NDArray[np.bool_]) -> list[Polygon]:
    """The outer outline of each connected part of an (H, W) mask, halfway between pixels; holes are lost."""
    padded = np.pad(mask, 1).astype(np.float64)
    generator = contourpy.contour_generator(z=padded, fill_type=contourpy.FillType.OuterOffset)
    points, offsets, *_ = generator.filled(0.5, np.inf)
    found = []
    for part, ends in zip(points, offsets, strict=True):
        assert part is not None and ends is not None
        ring = part[: ends[1] - 1]  # the outer one, without its repeated first corner
        found.append(_without_straight_corners(ring - 0.5))  # -1 for the padding, +.5 to a pixel's middle
    return found


def overlap(polygons: list[Polygon], mask: NDArray[np.bool_]) -> float:
    """Intersection over union of the polygons, drawn as pycocotools does, and their (H, W) mask."""
    drawn = coco_masks.frPyObjects([each.ravel().tolist() for each in polygons], *mask.shape)
    true = coco_masks.encode(np.asfortranarray(mask, np.uint8))
    return float(coco_masks.iou([coco_masks.merge(drawn)], [true], [False])[0, 0])


def _without_straight_corners(ring: Polygon) -> Polygon:
    before, after = ring - np.roll(ring, 1, 0), np.roll(ring, -1, 0) - ring
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return ring[np.abs(turns) > 1e-9]
