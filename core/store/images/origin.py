"""Tells what a file of an image says of its origin: whether it is synthetic."""

_IPTC = b"digitalsourcetype/"  # the end of the address of IPTC's terms, in XMP and in C2PA manifests
_TERMS = (
    b"trainedAlgorithmicMedia",
    b"compositeWithTrainedAlgorithmicMedia",
    b"compositeSynthetic",
    b"algorithmicMedia",
)
_MARKS = (
    b"tEXtSynthetic\0true",  # chunks of a PNG
    b"iTXtSynthetic\0\0\0\0\0true",
    b"Synthetic: true; Flawsmith",  # the EXIF of a JPEG or WebP
    *(_IPTC + each for each in _TERMS),
)


def says_synthetic(data: bytes) -> bool:
    """Whether a PNG, JPEG or WebP carries Flawsmith's mark, or IPTC's for media that an algorithm made.

    ``compositeCapture`` and ``computationalCapture`` do not count: cameras write them too.
    """
    return any(mark in data for mark in _MARKS)
