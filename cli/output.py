"""What commands print: JSON for programs, tables and progress bars for people. Bars are on standard error.

rich is imported where it is needed, as `flawsmith api` and others print no table.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

OnProgress = Callable[[int, int], None]


def print_json(value: Any) -> None:
    """One line of JSON."""
    print(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table, or one line for each row where no terminal shows it: fields between tabs."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        for row in rows:
            print("\t".join(str(each) for each in row))
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(str(each)) for each in row))
    console.print(table)


@contextmanager
def progress_bar(what: str, *, of_bytes: bool = False) -> Iterator[OnProgress]:
    """A bar while the block runs. It yields what is told the progress: done, and all."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn

    amount: ProgressColumn = DownloadColumn() if of_bytes else MofNCompleteColumn()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), amount)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(escape(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def counted(number: int, word: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
