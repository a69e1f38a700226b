"""Writes the table of signals into docs/presets.md: python docs/write_signal_table.py"""

from pathlib import Path

from flawsmith.models.quality.signal_table import with_signal_table

page = Path(__file__).with_name("presets.md")
page.write_text(with_signal_table(page.read_text()))
