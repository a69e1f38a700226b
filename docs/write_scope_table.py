"""Writes the table of routes and scopes into docs/scopes.md: python docs/write_scope_table.py"""

from pathlib import Path
from tempfile import TemporaryDirectory

from flawsmith.app.main import create_app
from flawsmith.app.scope_table import with_scope_table
from flawsmith.core.settings import Settings

page = Path(__file__).with_name("scopes.md")
with TemporaryDirectory() as folder:
    page.write_text(with_scope_table(page.read_text(), create_app(Settings(data_dir=Path(folder)))))
