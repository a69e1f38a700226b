"""The Lua scripts in `lua/`, which Redis runs atomically.

Each file's header names its keys and arguments. A line ``--- @include "NAME"`` stands for the file of that name, which
holds functions that several scripts share.
"""

import re
from functools import cache
from importlib.resources import files

_FOLDER = files("flawsmith.core.live") / "lua"
_INCLUDE = re.compile(r'^--- @include "(\w+)"\n', re.MULTILINE)


@cache
def script(name: str) -> str:
    """The text of ``lua/NAME.lua`` with the files that it includes, each of them once."""
    included: set[str] = set()

    def text(of: str) -> str:
        if of in included:
            return ""
        included.add(of)
        source = (_FOLDER / f"{of}.lua").read_text(encoding="utf-8")
        return _INCLUDE.sub(lambda line: text(line[1]), source)

    return text(name)
