"""The preset `paste` has no networks: `models.compositions.pasted` makes its images."""

from flawsmith.models.presets.builder import PresetBuilder

BUILDER = PresetBuilder("paste")
