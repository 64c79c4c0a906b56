from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odflow.ops.split import hash_share, split_by_count, split_by_hash

NAMES = st.sets(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=30)
MANY = [f"img_{number:05d}.jpg" for number in range(10000)]


@given(NAMES, NAMES, st.floats(0, 1))
def test_a_name_keeps_its_side_whatever_others_come(names, others, fraction):
    train, valid = split_by_hash(names, fraction)
    assert sorted(train + valid) == sorted(names)
    more_train, more_valid = split_by_hash(names | others, fraction)
    assert set(train) <= set(more_train)
    assert set(valid) <= set(more_valid)


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_the_sides_have_the_sizes_asked_for(fraction):
    _, valid = split_by_hash(MANY, fraction)
    assert len(valid) == pytest.approx(
        fraction * len(MANY), abs=4 * (fraction * (1 - fraction) * len(MANY)) ** 0.5
    )


def test_a_larger_fraction_only_adds_to_the_validation_side():
    assert set(split_by_hash(MANY, 0.1)[1]) < set(split_by_hash(MANY, 0.3)[1])


def test_the_share_is_the_start_of_sha256():
    for name in ("img_041.jpg", "ü/b.png"):
        assert hash_share(name) == pytest.approx(
            int(sha256(name.encode()).hexdigest()[:8], 16) / 2**32, abs=1e-9
        )


def test_the_first_sorted_names_go_to_train():
    assert split_by_count({"b", "c", "a"}, 2) == (["a", "b"], ["c"])
    assert split_by_count(["a"], 5) == (["a"], [])
