"""The order of stages and what references mean."""

from graphlib import CycleError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.graph.pipeline import Reference, ancestors, ordered


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Names in any order, each reading from some that are smaller, so that there is no circle."""
    names = draw(st.permutations("abcdefgh"))
    return {
        name: draw(
            st.lists(st.sampled_from("abcdefgh"), max_size=3).map(
                lambda found, name=name: sorted({one for one in found if one < name})
            )
        )
        for name in names
    }


@settings(deadline=None)
@given(edges=graphs())
def test_each_comes_after_those_that_it_reads_from(edges: dict[str, list[str]]) -> None:
    order = ordered(edges)
    assert sorted(order) == sorted(edges)
    assert all(order.index(before) < order.index(name) for name in edges for before in edges[name])


@settings(deadline=None)
@given(edges=graphs())
def test_a_file_that_is_in_order_stays_so(edges: dict[str, list[str]]) -> None:
    in_order = {name: edges[name] for name in sorted(edges)}
    assert ordered(in_order) == list(in_order)


def test_a_circle_is_named() -> None:
    with pytest.raises(CycleError) as raised:
        ordered({"a": [], "b": ["a", "d"], "c": ["b"], "d": ["c"]})
    assert set(raised.value.args[1]) == {"b", "c", "d"}


@settings(deadline=None)
@given(edges=graphs())
def test_ancestors_are_what_a_closure_gives(edges: dict[str, list[str]]) -> None:
    for name, before in edges.items():
        assert ancestors(name, edges) == set(before).union(*(ancestors(one, edges) for one in before))


@pytest.mark.parametrize("text", ["${a.b}", "${a-1.b_c}/deep/file.txt"])
def test_a_reference_is_written_as_it_was_read(text: str) -> None:
    assert str(Reference.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["a.b", "${a}", "${params.b}", "x/${a.b}", "${a.b}c", "${a.b}${a.b}", "${a.b.c}"]
)
def test_other_texts_are_no_references(text: str) -> None:
    assert Reference.parse(text) is None
