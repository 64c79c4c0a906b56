"""Which annotated box an anchor stands for.

Definitions: object_detection/matchers/argmax_matcher.py and bipartite_matcher.py.
"""

from __future__ import annotations

import tensorflow as tf

from odflow.training.settings import Matcher

BACKGROUND = -1
IGNORED = -2


def match(similarity: tf.Tensor, valid: tf.Tensor, matcher: Matcher) -> tf.Tensor:
    """Match every anchor with a box, with the background or with nothing.

    Args:
        similarity: (boxes, anchors) float32, of any number of boxes.
        valid: (boxes,) bool; a box that is not valid gets no anchor by force.
        matcher: the rules.

    Returns:
        (anchors,) int32: the row of the box, -1 for background, -2 for what training ignores.
    """
    rule = _bipartite if matcher.kind == "bipartite" else _argmax
    nothing = tf.fill(tf.shape(similarity)[1:], BACKGROUND)
    matches = tf.cond(tf.shape(similarity)[0] > 0, lambda: rule(similarity, valid, matcher), lambda: nothing)
    return tf.ensure_shape(matches, similarity.shape[1:])


def _argmax(similarity: tf.Tensor, valid: tf.Tensor, matcher: Matcher) -> tf.Tensor:
    """The most similar box, if it is similar enough."""
    best = tf.reduce_max(similarity, 0)
    below, between = (BACKGROUND, IGNORED) if matcher.negatives_below else (IGNORED, BACKGROUND)
    matches = tf.where(best < matcher.matched, between, tf.argmax(similarity, 0, output_type=tf.int32))
    matches = tf.where(best < matcher.unmatched, below, matches)
    return _by_force(matches, similarity, valid) if matcher.force_match else matches


def _by_force(matches: tf.Tensor, similarity: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Give every valid box its best anchor; of several with the same one, the first box."""
    boxes = tf.shape(similarity)[0]
    columns = tf.argmax(similarity, 1, output_type=tf.int32)
    rows = tf.where(valid, tf.range(boxes), boxes)
    forced = tf.math.unsorted_segment_min(rows, columns, tf.shape(similarity)[1])
    return tf.where(forced < boxes, forced, matches)


def _bipartite(similarity: tf.Tensor, valid: tf.Tensor, matcher: Matcher) -> tf.Tensor:
    """One anchor for each box: the most similar pair first, then the best of what is left."""
    boxes, anchors = tf.unstack(tf.shape(similarity))
    lowest = similarity.dtype.min

    def step(count: tf.Tensor, left: tf.Tensor, matches: tf.Tensor) -> tuple[tf.Tensor, ...]:
        row, column = tf.unstack(
            tf.unravel_index(tf.argmax(tf.reshape(left, [-1]), output_type=tf.int32), [boxes, anchors])
        )
        taken = (tf.range(boxes) == row)[:, tf.newaxis] | (tf.range(anchors) == column)
        matches = tf.tensor_scatter_nd_update(matches, [[column]], [row])
        return count + 1, tf.where(taken, lowest, left), matches

    left = tf.where(valid[:, tf.newaxis], similarity, lowest)
    pairs = tf.minimum(tf.reduce_sum(tf.cast(valid, tf.int32)), anchors)
    start = (0, left, tf.fill([anchors], BACKGROUND))
    return tf.while_loop(lambda count, *_: count < pairs, step, start, maximum_iterations=pairs)[2]
