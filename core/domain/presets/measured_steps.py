"""Steps of every preset with its default networks, gray, measured by ``python -m benchmarks.measured_steps``."""

MEASURED_ON = "two cores of a server"

RATES = {
    ("fewshot", 64): 100.0,
}
"""Photographs a second, by preset and resolution."""

PROCESS_BYTES = 500 * 2**20
FEATURE_MAP_COPIES = 8
