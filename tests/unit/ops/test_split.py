from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odflow.ops.split import (
    count_together,
    group_by,
    hash_share,
    photograph_of,
    split_by_count,
    split_by_hash,
)

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


HASH, OTHER = "30565a8911a6bb487e3745c0ea3c8224", "cb5ae17636e975f9bf71ddf5bc542075"


@pytest.mark.parametrize(
    ("name", "photograph"),
    [
        (f"deer_jpg.rf.{HASH}.jpg", "deer.jpg"),
        (f"deer_JPG_jpg.rf.{HASH}.jpg", "deer_JPG.jpg"),
        (f"train/images/deer_jpeg.rf.{HASH}.jpg", "deer.jpeg"),
        (f"valid\\deer_PNG.rf.{HASH}.jpg", "deer.PNG"),
        (f"clip_mp4-0044_jpg.rf.{HASH.upper()}.png", "clip_mp4-0044.jpg"),
        (f"deer_jpg.rf.{HASH}_jpg.rf.{OTHER}.jpg", "deer.jpg"),
        (f"deer_jpg.rf.{HASH}.jpg.rf.{OTHER}.jpg", "deer.jpg"),
        ("deer_jpg.rf.qFT1sg0L4zm2kRrHQkYQ.jpg", "deer.jpg"),
        (f"a.b c.rf.{HASH}.jpg", "a.b c"),
        (f"grün_jpg.rf.{HASH}.jpg", "grün.jpg"),
    ],
)
def test_a_copy_belongs_to_its_photograph(name, photograph):
    assert photograph_of(name) == photograph


@pytest.mark.parametrize(
    "name",
    [
        "deer.jpg",
        "deer (1).jpg",
        "deer - copy.jpg",
        "deer.rf.jpg",
        "deer.rf.1.jpg",
        f"deer.rf.{HASH}",
        f"deer_{HASH}.jpg",
        f"x.rf.{HASH}.y/deer.jpg",
        f".rf.{HASH}.jpg",
        "",
    ],
)
def test_an_image_that_is_no_certain_copy_is_its_own_photograph(name):
    assert photograph_of(name) == name


FOLDERS = st.sampled_from(["", "train/", "valid/"])
HASHES = st.text("0123456789abcdef", min_size=32, max_size=32)
COPIES = st.builds("{}{}_jpg.rf.{}.jpg".format, FOLDERS, st.sampled_from("abcdefgh"), HASHES)
MIXED = st.sets(COPIES | st.sampled_from(["a.jpg", "b.jpg", "x.png", "train/y.png"]), max_size=40)


@given(MIXED, st.floats(0, 1) | st.integers(0, 40))
def test_no_photograph_is_on_both_sides_and_no_image_is_lost(names, wanted):
    split = split_by_hash if isinstance(wanted, float) else split_by_count
    train, valid = split(names, wanted)
    assert sorted(train + valid) == sorted(names)
    assert (train, valid) == (sorted(train), sorted(valid))
    assert not {photograph_of(name) for name in train} & {photograph_of(name) for name in valid}


@given(MIXED, MIXED, st.floats(0, 1))
def test_a_copy_keeps_its_side_whatever_others_come(names, others, fraction):
    train, valid = split_by_hash(names, fraction)
    more_train, more_valid = split_by_hash(names | others, fraction)
    assert set(train) <= set(more_train)
    assert set(valid) <= set(more_valid)


@given(MIXED, st.integers(0, 40))
def test_the_count_is_missed_by_half_a_group_at_most(names, count):
    train, _ = split_by_count(names, count)
    sizes = Counter(map(photograph_of, names)).values()
    assert abs(len(train) - min(count, len(names))) <= max(sizes, default=0) / 2


@given(st.sets(st.sampled_from(MANY[:60]), max_size=40), st.integers(0, 40))
def test_images_without_copies_are_split_by_count_as_if_there_were_no_groups(names, count):
    assert split_by_count(names, count) == (sorted(names)[:count], sorted(names)[count:])


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_the_sides_have_the_sizes_asked_for_with_copies(fraction):
    names = [f"img_{n:05d}_jpg.rf.{n * 3 + copy:032x}.jpg" for n in range(5000) for copy in range(3)]
    _, valid = split_by_hash(names, fraction)
    deviation = 3 * (fraction * (1 - fraction) * 5000) ** 0.5
    assert len(valid) == pytest.approx(fraction * len(names), abs=4 * deviation)
    assert len(split_by_count(names, 4000)[0]) == pytest.approx(4000, abs=1)


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        ("^(.*)_frame", {"v/a_frame1.jpg": "v/a", "v/a_frame2.jpg": "v/a", "b_frame1.jpg": "b"}),
        ("^[^/]+/", {"v/a_frame1.jpg": "v/", "v/a_frame2.jpg": "v/"}),
        (r"(\w)_frame(\d)", {"v/a_frame1.jpg": "a\n1", "v/a_frame2.jpg": "a\n2", "b_frame1.jpg": "b\n1"}),
        ("^(v/)?[ac]", {"v/a_frame1.jpg": "v/", "v/a_frame2.jpg": "v/", "c.jpg": ""}),
        ("x", {}),
    ],
)
def test_a_regular_expression_gives_the_groups(pattern, groups):
    assert group_by(pattern, ["v/a_frame1.jpg", "v/a_frame2.jpg", "b_frame1.jpg", "c.jpg"]) == groups


def test_only_groups_of_several_images_are_together():
    assert count_together([]) == (0, 0)
    assert count_together(["a", "b"]) == (0, 0)
    assert count_together(["a", "b", "a"]) == (1, 2)
