"""The Lua scripts: whole, with headers, and no keys of their own."""

import re
from importlib.resources import files

import pytest
import redis

from flawsmith.core.live.keys import PREFIX
from flawsmith.core.live.scripts import script
from flawsmith.core.live.unused_keys import drop_unused_keys

NAMES = sorted(each.name.removesuffix(".lua") for each in (files("flawsmith.core.live") / "lua").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_script_compiles_with_its_includes_and_names_no_key_itself(name: str, empty_redis: redis.Redis) -> None:
    source = script(name)
    assert "@include" not in source
    assert not re.search(rf"['\"]{PREFIX}", source)
    empty_redis.script_load(source)


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_what_a_file_does_and_what_it_takes(name: str) -> None:
    text = (files("flawsmith.core.live") / "lua" / f"{name}.lua").read_text()
    code = text.partition("\n\nlocal")[2]
    header = text.removesuffix(code)
    assert re.match(r"(--- @include \"\w+\"\n\n?)?-- \w", header)
    for given in ("KEYS", "ARGV"):
        assert (given in code) == (f"-- {given} 1 " in header)


def test_a_function_that_two_includes_share_is_there_once() -> None:
    assert script("queue_end_task").count("local function server_time(") == 1
    assert script("queue_enqueue").count("local function push_address(") == 1


def test_keys_of_earlier_releases_are_dropped_and_no_others(empty_redis: redis.Redis) -> None:
    dropped = ["stock:m@1\npits", "stock-state:m@1\npits", "stocks", "work:total", "shift:sent", "shifts"]
    kept = ["seed:m@1\npits", "turn:m@1", "workers:sample", "job:1", "image:m@1\n1:pits"]
    for name in dropped + kept:
        empty_redis.set(f"{PREFIX}:{name}", 1)
    drop_unused_keys(empty_redis, empty_redis)
    assert sorted(empty_redis.keys()) == sorted(f"{PREFIX}:{name}".encode() for name in kept)
