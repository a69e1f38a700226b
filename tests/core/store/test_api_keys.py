"""The stored API keys in both kinds of store, and across two machines."""

from collections.abc import Callable

import pytest
from tests.conftest import until

from flawsmith.core.domain.api_keys import new_key
from flawsmith.core.store import api_keys
from flawsmith.core.store.api_keys import ApiKeys, DamagedKeys, TooManyKeys, UnknownKey
from flawsmith.core.store.interface import Store
from flawsmith.core.store.object_store.store import BucketStore


def test_keys_are_kept_newest_first_and_revoked_once(any_store: Store) -> None:
    keys = ApiKeys(any_store)
    assert (keys.stamp(), keys.all()) == (None, [])
    records = [new_key(name, "train")[1] for name in "ab"]
    for each in records:
        before = keys.stamp()
        keys.add(each)
        assert keys.stamp() not in (None, before)
    assert keys.all() == records[::-1]
    revoked = keys.revoke(records[0].id)
    assert revoked.revoked_at is not None
    assert keys.revoke(records[0].id) == revoked
    assert keys.all() == [records[1], revoked]
    with pytest.raises(UnknownKey, match="there is no API key 'key-1'"):
        keys.revoke("key-1")


def test_useless_keys_make_room_and_others_do_not(any_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MOST_KEYS", 2)
    keys = ApiKeys(any_store)
    records = [new_key(name, "train")[1] for name in "abc"]
    for each in records[:2]:
        keys.add(each)
    with pytest.raises(TooManyKeys, match="revoke one first"):
        keys.add(records[2])
    keys.revoke(records[0].id)
    keys.add(records[2])
    assert keys.all() == [records[2], records[1]]


def test_a_damaged_file_is_not_taken_for_none(any_store: Store) -> None:
    any_store.write_bytes(any_store.path("api-keys", "keys.json"), b'{"keys": [{"digest": "sesame"}]}')
    with pytest.raises(DamagedKeys, match="restore it from a backup") as refused:
        ApiKeys(any_store).add(new_key("a", "train")[1])
    assert "sesame" not in str(refused.value)


def test_another_machine_sees_a_key_and_its_end(open_bucket: Callable[..., BucketStore]) -> None:
    here, there = ApiKeys(open_bucket()), ApiKeys(open_bucket())
    record = new_key("a", "train")[1]
    here.add(record)
    until(lambda: there.stamp() is not None and there.all() == [record], 10, "the key is seen")
    stamp = there.stamp()
    revoked = here.revoke(record.id)
    until(lambda: there.stamp() != stamp and there.all() == [revoked], 10, "its end is seen")
