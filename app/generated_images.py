"""The JSON form of the answer of POST /generate. `media` writes it piece by piece; this is what clients read."""

from pydantic import BaseModel, Field


class NearestPhotograph(BaseModel):
    """The training photograph that an image is most like."""

    file: str = Field(description="its name in the dataset")
    distance: float
    percentile: float = Field(description="of the distance among those between photographs, 0 to 100")


class GeneratedImage(BaseModel):
    """One image and its address."""

    seed: int
    defect_type: str
    url: str = Field(description="path of the image, whose bytes never change")
    data: str | None = Field(None, description="the PNG as base64; not with `data=false`")
    attributes: dict[str, tuple[float, float]] | None = Field(None, description="that were asked for")
    boxes: list[tuple[int, int, int, int]] | None = Field(
        None, description="with `labels`: left, top, right, bottom of each part of the defect, in pixels"
    )
    plausible: bool | None = Field(None, description="with `labels`: whether their size and shape are as real ones")
    mask: str | None = Field(None, description="with `labels` of `mask`: a PNG as base64")
    nearest: NearestPhotograph | None = Field(None, description="with `nearest=true`")


class GeneratedImages(BaseModel):
    """The images of one version."""

    model: str = Field(description="the version, such as `steel@2`")
    images: list[GeneratedImage]
