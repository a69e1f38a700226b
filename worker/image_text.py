"""What the text chunks of an image's PNG say, and those of its mask's."""

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import attributes_text
from flawsmith.core.domain.records import ModelVersion


def image_text(version: ModelVersion, address: Address) -> dict[str, str]:
    """That the image is synthetic, and its address."""
    text = {
        "Synthetic": "true",
        "Software": "Flawsmith",
        "Model": version.ref,
        "Defect-Type": address.defect_type,
        "Seed": str(address.seed),
    }
    if address.attributes:
        text["Attributes"] = attributes_text(address.attributes)
    return text
