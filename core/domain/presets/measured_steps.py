"""Steps of presets with their default networks, gray: for estimates where no job was recorded yet.

Measured by ``python -m benchmarks.measured_steps`` (memory), ``python -m benchmarks.training`` (speed of `dcgan`) and
``python -m benchmarks.quality`` (of `fewshot`: 23,232 photographs in 150 s, 117,008 in 900 s); see docs/presets.md.
"""

MEASURED_ON = "two idle cores of an AMD EPYC"

RATES = {
    ("dcgan", 64): 27.7,
    ("dcgan", 128): 4.4,
    ("fewshot", 64): 154.9,
    ("fewshot", 128): 130.0,
}
"""Photographs a second, by preset and resolution."""

MIB = 2**20
PROCESS_BYTES = 325 * MIB  # of a worker before its first job
# Beside weights and photographs, a step takes so many times the feature maps of a batch (642 MiB in all at 64 px), and
# an evaluation so much a pixel of an image (947 MiB in all at 128 px); the larger of the two counts.
FEATURE_MAP_COPIES = 11
EVALUATION_BYTES_A_PIXEL = 36_500
