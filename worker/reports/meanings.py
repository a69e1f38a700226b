"""What each measure means, in plain words."""

from flawsmith.models.quality.combined import COMBINED
from flawsmith.models.quality.controls import HALF
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.models.quality.start_likeness import NAME

MEANINGS = {
    "density": (
        "How densely samples lie where photographs lie, in features of untrained convolutions. 1 is expected of"
        " photographs; 0 means that samples are like no photograph; over 1, they crowd at the most ordinary ones."
    ),
    "coverage": (
        "The share of photographs that have a sample among their nearest neighbours, in features of untrained"
        " convolutions. A low value means that kinds of photographs are missing among the samples."
    ),
    "mmd_poly": (
        "The kernel distance between samples and photographs, in features of untrained convolutions. It is the"
        " estimator of KID. Photographs against photographs are about 0, and it can be slightly negative."
    ),
}


_OF_JUDGEMENT = {
    COMBINED: (
        "The mean of the measures that see the defects of these photographs, each on its own scale: 0 is as"
        " photographs, 1 as photographs whose defects were removed."
    ),
    "diversity": (
        "How different samples are from one another: 1 is as different as photographs are, 0 is one image repeated."
    ),
    "defect_shown": (
        "The share of samples that show a defect. A network says so that learned to tell these photographs from the"
        " same ones without their defects."
    ),
    "memorization_rate": (
        "The share of samples that copy one training photograph: nearer to it, compared with the second nearest, than"
        " any genuine photograph is, and nearer than it is to any other photograph. Where"
        " few photographs are held out, a few samples meet this by chance."
    ),
    NAME: "The share of samples that are the pictures that training started from, hardly changed.",
}


_TITLES = {
    "mmd_poly": "kernel distance (mmd poly)",
    "memorization_rate": "share of copies (memorization rate)",
    "start_rate": "share of the start's pictures (start rate)",
}
_LEGENDS = {
    "generator_loss": "generator",
    "discriminator_loss": "discriminator",
    "distance": "whole image (distance)",
    "defect_distance": "defect (defect_distance)",
    "defect_shown": "1: as often as photographs, 0: as photographs without their defects",
    "memorization_rate": "memorization rate",
    "diversity": "1: as different as photographs are",
}
_LABELS = {HALF: "half of the kinds missing"}


def title_of(name: str) -> str:
    """What the page calls a measure."""
    return _TITLES.get(name, name.replace("_", " "))


def legend_of(name: str) -> str:
    """What the page says beside a curve of the training's history."""
    return _LEGENDS.get(name, name.replace("_", " "))


def label_of(control: str) -> str:
    """What the page calls photographs made worse."""
    return _LABELS.get(control, control)


def meaning_of(name: str) -> str:
    """The meaning of a measure."""
    if name in (known := MEANINGS | _OF_JUDGEMENT):
        return known[name]
    spaces = [each.meaning for each in SPACES if each.name == name]
    features = f" in {spaces[0]}" if spaces else ""
    return f"The distance between samples and photographs{features}."
