"""The work store of rows: what is whole is found in whatever company, damage is noticed, and little is in memory."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pipeline import row_store
from pipeline.row_store import RowStore, row_keys

KEYS = row_keys("recipe", map(str, range(10)))
VECTORS = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


def opened(folder, wanted=KEYS, width=3, seconds=row_store.SECONDS) -> RowStore:
    return RowStore(folder / "rows", width, wanted, seconds)


def segments(folder) -> list:
    return sorted((folder / "rows").glob("*.rows"))


def test_keys_tell_items_and_recipes_apart_and_have_no_order():
    assert len(set(KEYS.tolist()) | set(row_keys("other", map(str, range(10))).tolist())) == 20
    assert row_keys("recipe", ["3"])[0] == KEYS[3] and row_keys("recipe", []).shape == (0,)
    whole = hashlib.sha256(b"recipe3").digest()
    assert KEYS[3:4].tobytes() == whole[:16]


def test_what_was_put_is_got_in_any_order_by_this_run_and_the_next(tmp_path):
    store = opened(tmp_path)
    assert not store.has(KEYS).any()
    store.put(KEYS[:4], VECTORS[:4])
    store.put(KEYS[6:], VECTORS[6:])
    chosen = [9, 0, 5, 2, 9]
    for each in (store, None):
        each = each or opened(tmp_path)
        vectors, there = each.get(KEYS[chosen])
        assert there.tolist() == [True, True, False, True, True] == each.has(KEYS[chosen]).tolist()
        assert np.array_equal(vectors[there], VECTORS[[9, 0, 2, 9]]) and not vectors[~there].any()
    assert len(segments(tmp_path)) == 1


def test_a_key_may_end_in_zeros(tmp_path):
    keys = np.array([b"0123456789abcde\0", b"0123456789abcd\0\0", b"\0" * 16], row_store.KEY)
    opened(tmp_path, keys).put(keys, VECTORS[:3])
    store = opened(tmp_path, keys)
    store.put(keys, VECTORS[:3])
    store.flush()
    vectors, there = opened(tmp_path, keys).get(keys)
    assert there.all() and np.array_equal(vectors, VECTORS[:3])


def test_rows_wait_for_others_but_not_for_long(tmp_path, monkeypatch):
    store = opened(tmp_path)
    store.put(KEYS[:1], VECTORS[:1])
    assert not segments(tmp_path), "a file each would cost more than the arithmetic"
    store.flush()
    store.flush()
    assert len(segments(tmp_path)) == 1
    store = opened(tmp_path, seconds=0)
    store.put(KEYS[1:2], VECTORS[1:2])
    assert len(segments(tmp_path)) == 2
    monkeypatch.setattr(row_store, "BYTES", VECTORS[:2].nbytes)
    store = opened(tmp_path)
    store.put(KEYS[2:3], VECTORS[2:3])
    assert len(segments(tmp_path)) == 2
    store.put(KEYS[3:4], VECTORS[3:4])
    assert len(segments(tmp_path)) == 3 and not list((tmp_path / "rows").glob("*.tmp"))


def test_two_processes_find_what_the_other_put(tmp_path):
    one, other = opened(tmp_path), opened(tmp_path)
    one.put(KEYS[::2], VECTORS[::2])
    other.put(KEYS[1::2], VECTORS[1::2])
    other.put(KEYS[:1], VECTORS[:1])
    one.flush()
    other.flush()
    assert one.has(KEYS).tolist() == [True, False] * 5
    one.refresh()
    assert np.array_equal(one.get(KEYS)[0], VECTORS)


def test_what_is_not_wanted_takes_no_memory_and_cannot_be_asked_for(tmp_path):
    store = opened(tmp_path)
    store.put(KEYS, VECTORS)
    store.flush()
    few = opened(tmp_path, KEYS[[7, 2]])
    assert len(few._keys) == 2 and np.array_equal(few.get(KEYS[[2, 7]])[0], VECTORS[[2, 7]])
    with pytest.raises(KeyError):
        few.get(KEYS[:3])
    assert opened(tmp_path, KEYS[:0]).get(KEYS[:0])[0].shape == (0, 3)


def flipped(place: int):
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] if place >= 0 else flipped(len(data) + place)(data)


DAMAGE = {
    "a count": flipped(0),
    "a key": flipped(row_store._COUNT + 3),
    "a vector": flipped(-2),
    "torn": lambda data: data[:-3],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_segment_counts_as_missing_and_is_made_again(tmp_path, caplog, damage):
    store = opened(tmp_path)
    store.put(KEYS[:5], VECTORS[:5])
    store.flush()
    (path,) = segments(tmp_path)
    store.put(KEYS[5:], VECTORS[5:])
    store.flush()
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    store = opened(tmp_path)
    vectors, there = store.get(KEYS)
    assert there.tolist() == [False] * 5 + [True] * 5 and np.array_equal(vectors[5:], VECTORS[5:])
    assert "is damaged and will be made again" in caplog.text and not path.exists() and not store.has(KEYS[:5]).any()
    store.put(KEYS[:5], VECTORS[:5])
    assert np.array_equal(store.get(KEYS)[0], VECTORS), "though what is made again has the same name"
    caplog.clear()
    assert opened(tmp_path).get(KEYS)[1].all() and not caplog.text


def test_a_segment_in_the_place_of_another_is_damaged(tmp_path, caplog):
    store = opened(tmp_path, seconds=0)
    store.put(KEYS[:5], VECTORS[:5])
    store.put(KEYS[5:], VECTORS[5:])
    one, other = segments(tmp_path)
    other.write_bytes(one.read_bytes())
    assert not opened(tmp_path).get(KEYS)[1].any() and "is damaged" in caplog.text
    assert opened(tmp_path).get(KEYS)[1].sum() == 5, "what lies in its own place"


def test_a_segment_is_verified_once_and_only_its_rows_are_read_afterwards(tmp_path, monkeypatch):
    store = opened(tmp_path, seconds=0)
    for number in range(10):
        store.put(KEYS[number : number + 1], VECTORS[number : number + 1])
    store = opened(tmp_path)
    hashed, real, descriptors = [], hashlib.file_digest, Path("/proc/self/fd")
    monkeypatch.setattr(row_store.hashlib, "file_digest", lambda file, name: hashed.append(file.name) or real(file, name))
    before = len(list(descriptors.iterdir())) if descriptors.exists() else 0
    for chosen in ([3, 1, 9, 0, 5, 7, 2, 4, 6, 8], [8, 0, 3], list(range(10))):
        assert np.array_equal(store.get(KEYS[chosen])[0], VECTORS[chosen])
    assert len(hashed) == len(set(hashed)) == 10
    assert not descriptors.exists() or len(list(descriptors.iterdir())) == before, "no file stays open"


@pytest.mark.parametrize("left", [0, 9])
def test_a_segment_that_is_cut_short_or_goes_after_it_was_verified_counts_as_missing(tmp_path, caplog, left):
    store = opened(tmp_path)
    store.put(KEYS, VECTORS)
    assert store.get(KEYS)[1].all()
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:left])
    assert not store.get(KEYS)[1].any() and "is damaged" in caplog.text and not path.exists()
    store.put(KEYS, VECTORS)
    assert np.array_equal(store.get(KEYS)[0], VECTORS)
    path.unlink()
    assert not store.get(KEYS)[1].any()


def test_where_nothing_is_wanted_nothing_is_found(tmp_path):
    opened(tmp_path, seconds=0).put(KEYS, VECTORS)
    none = opened(tmp_path, KEYS[:0])
    assert none.get(KEYS[:0])[0].shape == (0, 3)
    with pytest.raises(KeyError):
        none.has(KEYS)


def test_a_segment_that_goes_while_it_is_wanted_counts_as_missing(tmp_path):
    store = opened(tmp_path)
    store.put(KEYS, VECTORS)
    store.flush()
    (path,) = segments(tmp_path)
    path.unlink()
    assert not store.get(KEYS)[1].any() and not store.has(KEYS).any()
