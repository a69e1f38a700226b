"""Where the API gives out the image at an address."""

from urllib.parse import quote

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import attributes_text
from flawsmith.core.domain.records import ModelVersion


def image_path(version: ModelVersion, address: Address) -> str:
    """``/models/scratches/versions/2/images/17.png?defect_type=scratches``."""
    place = f"/models/{version.model}/versions/{version.version}/images/{address.seed}.png"
    asked = f"&{attributes_text(address.attributes)}" if address.attributes else ""
    return f"{place}?defect_type={quote(address.defect_type, safe='')}{asked}"
