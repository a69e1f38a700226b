"""What each measure means, in plain words."""

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


def meaning_of(name: str) -> str:
    """The meaning of a measure; what can be said of any measure for one that has none here."""
    return MEANINGS.get(
        name, "A distance between samples and photographs; photographs against photographs set its zero."
    )
