import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.heads.render.figure import JOINTS
from odflow.heads.render.recipe import FIGURE, draw_recipe

seeds = st.integers(-(2**40), 2**40)
numbers = st.integers(0, 10**6)


def told(recipe):
    """As text: arrays compare to arrays."""
    return repr(recipe)


@settings(max_examples=30, deadline=None)
@given(seeds, numbers)
def test_seed_and_number_decide_alone(plain, seed, number):
    of_seed = replace(plain, seed=seed)
    assert told(draw_recipe(of_seed, number)) == told(draw_recipe(of_seed, number))
    assert told(draw_recipe(of_seed, number)) != told(draw_recipe(of_seed, number + 1))
    assert told(draw_recipe(of_seed, number)) != told(draw_recipe(replace(plain, seed=seed + 1), number))


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_a_scene_keeps_to_its_limits(plain, seed):
    recipe = draw_recipe(replace(plain, seed=seed), 0)
    assert 2 <= len(recipe.things) <= 6
    assert {thing.label for thing in recipe.things} <= {"ball", "box"}
    assert 4 <= recipe.view.distance <= 7
    assert math.radians(12) <= recipe.view.elevation <= math.radians(60)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_nothing_touches_before_it_falls(plain, seed):
    recipe = draw_recipe(replace(plain, seed=seed, objects_per_image=(8, 8)), 0)
    radii = [thing.size * math.sqrt(3) / 2 for thing in recipe.things]
    for i, thing in enumerate(recipe.things):
        assert thing.place[2] > radii[i]
        assert math.hypot(thing.place[0] - recipe.figure.x, thing.place[1] - recipe.figure.y) > (
            radii[i] + recipe.figure.reach
        )
        for j in range(i):
            assert math.dist(thing.place, recipe.things[j].place) > radii[i] + radii[j]


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_a_figure_stands_on_the_ground_on_limbs_of_one_length(plain, seed):
    figure = draw_recipe(replace(plain, seed=seed), 0).figure
    assert tuple(figure.joints) == JOINTS
    lowest = min(min(c.start[2], c.end[2]) - c.radius for c in figure.capsules)
    assert lowest == pytest.approx(0, abs=1e-9)

    def length(one, other):
        return np.linalg.norm(figure.joints[one] - figure.joints[other])

    for upper, lower in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        right, left = (length(f"{side}_{upper}", f"{side}_{lower}") for side in ("right", "left"))
        assert right == pytest.approx(left)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_right_is_right_of_where_the_nose_points(plain, seed):
    figure = draw_recipe(replace(plain, seed=seed), 0).figure
    head, nose = figure.capsules[-3], figure.capsules[-1]
    ahead = (nose.end - head.start) * (1, 1, 0)
    across = figure.joints["right_hip"] - figure.joints["left_hip"]
    assert np.cross(ahead, across)[2] < 0  # clockwise, seen from above


def test_classes_have_their_ids_by_name_whatever_their_order(plain):
    assert plain.classes == ["ball", "box", FIGURE]
    without = replace(plain, objects={"box": "cube", "ball": "sphere"}, figure_share=0)
    assert without.classes == ["ball", "box"]


def test_a_share_of_the_scenes_has_a_figure_and_the_camera_does_not_tell_which(plain):
    of_seed = replace(plain, figure_share=0.75)
    recipes = [draw_recipe(of_seed, number) for number in range(400)]
    assert 0.7 < np.mean([recipe.figure is not None for recipe in recipes]) < 0.8
    assert len({recipe.view.target[2] for recipe in recipes}) == 1
    for share, expected in ((0, False), (1, True)):
        drawn = [draw_recipe(replace(plain, figure_share=share), number) for number in range(100)]
        assert all((recipe.figure is not None) == expected for recipe in drawn)
