"""What a training job says of the size of its images beside that of the photographs."""

from collections.abc import Iterator

from flawsmith.core.domain.crops import NATIVE_ABOVE, Around, Crop
from flawsmith.core.domain.presets.preset import Preset
from flawsmith.core.domain.records import Dataset
from flawsmith.core.domain.training_request import TrainingRequest


def resolution_note(preset: Preset, dataset: Dataset, resolution: int) -> str:
    """Why this resolution was chosen."""
    side = dataset.largest_square
    if resolution < preset.default_resolution:
        reason = (
            f"the photographs have {side} px at most" if side < 2 * resolution else "'max_seconds' is short for more"
        )
        return f"resolution {resolution}, not {preset.default_resolution}: {reason}"
    note = f"resolution {resolution}, the default of preset '{preset.name}'"
    if larger := [each for each in preset.resolutions if resolution < each <= side]:
        note += f"; the photographs have up to {side} px, so {larger[0]} shows more of them and takes longer"
    return note


def size_notes(
    request: TrainingRequest, preset: Preset, dataset: Dataset, crop: Crop, resolution: int
) -> Iterator[str]:
    """What becomes of photographs that are smaller than the images, or much larger."""
    if (side := dataset.largest_square) < resolution:
        fitting = [each for each in preset.resolutions if each <= side]
        instead = f"resolution {fitting[-1]} shows as much in less time" if fitting else "larger ones would show more"
        yield f"the photographs have {side} px at most and are enlarged to {resolution}: {instead}"
    if crop.around is Around.GRID and not request.crop:
        yield _grid_note(crop, resolution)


def _grid_note(crop: Crop, resolution: int) -> str:
    """Why photographs are cut into squares, and what would keep them whole."""
    if not crop.native:
        return "cuts the photographs into squares, as some are much longer than wide; 'crop' can choose another way"
    return (
        f"cuts squares of {resolution} px out of the photographs at their own scale, as they are more than "
        f'{NATIVE_ABOVE:g} times as large; \'crop\' can choose another way, such as {{"around": "middle"}}'
    )
