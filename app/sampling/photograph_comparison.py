"""Compares images with the photographs that their version was trained on, beside the event loop."""

from collections.abc import Sequence

from anyio import CapacityLimiter, to_thread

from flawsmith.app.problems import Problem
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.images import decode_pixels
from flawsmith.core.store.reference_photographs import Nearest, ReferenceCache, ReferencePhotographs
from flawsmith.core.store.registry import Registry

AT_ONCE = 1  # comparisons in a process: more would only wait for its cores, and keep them from the event loop


class PhotographComparison:
    """Finds the nearest training photograph of images. One instance in each API process."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._cache = ReferenceCache()
        self._limiter = CapacityLimiter(AT_ONCE)

    async def references(self, version: ModelVersion) -> ReferencePhotographs:
        """The version's reference photographs. Raises Problem 409 where there are none."""
        folder = self.registry.folder(version)
        references = await to_thread.run_sync(self._cache.load, folder, limiter=self._limiter)
        if references is None:
            raise Problem(
                409,
                "no-references",
                f"{version.ref} has no reference photographs to compare with: an earlier release published it, or the "
                "dataset that it was trained on was deleted; train the model again on its photographs, or leave out "
                "'max_similarity' and 'nearest'",
            )
        return references

    async def nearest(self, references: ReferencePhotographs, images: Sequence[tuple[Address, bytes]]) -> list[Nearest]:
        """The nearest photograph to each image (PNG)."""
        return await to_thread.run_sync(_nearest, references, images, limiter=self._limiter)


def _nearest(references: ReferencePhotographs, images: Sequence[tuple[Address, bytes]]) -> list[Nearest]:
    pixels = [decode_pixels(png) for _, png in images]
    return references.nearest(pixels, [address.defect_type for address, _ in images])
