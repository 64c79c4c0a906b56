"""Skeletons on pictures: what is drawn where, in which colour."""

import numpy as np
import pytest

from odflow.heads.pose.drawing import LEFT, MIDDLE, RIGHT, colour, draw_skeletons
from odflow.heads.pose.skeleton import Skeleton, read_skeleton

SKELETON = Skeleton(
    name="three",
    joints=("left_hand", "right_hand", "head"),
    limbs=(("left_hand", "head"), ("head", "right_hand"), ("left_hand", "right_hand")),
    pairs=(("left_hand", "right_hand"),),
    torso=("left_hand", "head"),
)
GREY = np.full((120, 160, 3), 100, np.uint8)
PERSON = np.array([[140, 100, 0.9], [20, 100, 0.8], [80, 20, 0.9]])


def rgb(name: str) -> list[int]:
    return list(bytes.fromhex(name[1:]))


def test_limbs_and_joints_are_where_they_are_in_the_colour_of_their_side():
    drawn = np.asarray(draw_skeletons(GREY, [PERSON], SKELETON))
    assert drawn.shape == GREY.shape
    for (x, y), wanted in (
        ((140, 100), LEFT),
        ((20, 100), RIGHT),
        ((80, 20), MIDDLE),
        ((110, 60), LEFT),
        ((50, 60), RIGHT),
        ((80, 100), MIDDLE),
    ):
        assert drawn[y, x].tolist() == rgb(wanted)
    assert (drawn[110:] == 100).all()
    assert (drawn[60, 60:100] == 100).all()
    assert (GREY == 100).all()


@pytest.mark.parametrize("wrong", [[np.nan, np.nan, 0.8], [20, 100, 0.0], [20, 100, 0.19]])
def test_a_joint_that_was_not_found_is_not_drawn_nor_any_limb_to_it(wrong):
    person = PERSON.copy()
    person[1] = wrong
    drawn = np.asarray(draw_skeletons(GREY, [person], SKELETON, least=0.2))
    assert (drawn[:, :70] == 100).all()
    assert drawn[60, 110].tolist() == rgb(LEFT)


def test_joints_outside_the_picture_and_nobody():
    away = PERSON * [30, 30, 1] - [1000, 9000, 0]
    assert draw_skeletons(GREY, [away], SKELETON).size == (160, 120)
    assert (np.asarray(draw_skeletons(GREY, [], SKELETON)) == 100).all()


def test_colours_of_a_real_skeleton():
    skeleton = read_skeleton("lsp")
    assert colour(skeleton, "left_knee", "left_ankle") == LEFT
    assert colour(skeleton, "right_shoulder", "neck") == RIGHT
    assert colour(skeleton, "right_hip", "left_hip") == colour(skeleton, "neck", "head_top") == MIDDLE
