"""Translate the anchor generator of `model.ssd`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from odflow.odapi.section import Section
from odflow.ops.anchors import Anchors, MultiscaleAnchors, Pair, SsdAnchors, even_scales
from odflow.training.ssd.settings import Extractor


def read_anchors(section: Section, extractor: Extractor) -> Anchors:
    """Read `anchor_generator`.

    Args:
        section: the message.
        extractor: whose feature maps the anchors lie on.

    Returns:
        The anchors.

    Raises:
        ConfigError: another kind, or not as many levels as the extractor has feature maps.
    """
    kind = section.choice("anchor_generator_oneof")
    if kind not in KINDS:
        raise section.refuse_choice("anchor_generator_oneof", kind, KINDS)
    return KINDS[kind](section.section(kind), extractor)


def _multiscale(generator: Section, extractor: Extractor) -> MultiscaleAnchors:
    for name, level in (("min_level", extractor.levels[0]), ("max_level", extractor.levels[-1])):
        if generator[name] != level:
            raise generator.refuse(name, generator[name], f"{level}, as in feature_extractor")
    generator.honour("normalize_coordinates")
    return MultiscaleAnchors(
        min_level=generator["min_level"],
        max_level=generator["max_level"],
        anchor_scale=generator["anchor_scale"],
        aspect_ratios=_ratios(generator) or (1.0,),
        scales_per_octave=generator["scales_per_octave"],
    )


def _ssd(generator: Section, extractor: Extractor) -> SsdAnchors:
    maps = len(extractor.levels)
    least, most = generator["min_scale"], generator["max_scale"]
    scales = tuple(generator["scales"]) or even_scales(generator.positive("num_layers"), least, most)
    if len(scales) != maps or generator["num_layers"] != maps:
        found = len(scales) if len(scales) != maps else generator["num_layers"]
        raise generator.refuse("num_layers", found, f"{maps}, the feature maps of {extractor.type}")
    anchors = SsdAnchors(
        scales=scales,
        aspect_ratios=_ratios(generator),
        interpolated_aspect_ratio=generator["interpolated_scale_aspect_ratio"],
        reduce_lowest=generator["reduce_boxes_in_lowest_layer"],
        base_size=(generator["base_anchor_height"], generator["base_anchor_width"]),
        strides=_pairs(generator, "stride", maps),
        offsets=_pairs(generator, "offset", maps),
    )
    if 0 in anchors.per_level:
        raise generator.refuse("aspect_ratios", "not set", "one or more")
    return anchors


def _ratios(generator: Section) -> tuple[float, ...]:
    ratios = tuple(generator["aspect_ratios"])
    if min(ratios, default=1.0) <= 0.0:
        raise generator.refuse("aspect_ratios", min(ratios), "numbers above 0")
    return ratios


def _pairs(generator: Section, name: str, maps: int) -> Sequence[Pair]:
    heights, widths = generator[f"height_{name}"], generator[f"width_{name}"]
    if heights and not len(heights) == len(widths) == maps:
        raise generator.refuse(
            f"height_{name}", len(heights), f"{maps} and as many width_{name}, one a feature map"
        )
    return tuple(zip(heights, widths, strict=False))


KINDS: dict[str, Callable[[Section, Extractor], Anchors]] = {
    "multiscale_anchor_generator": _multiscale,
    "ssd_anchor_generator": _ssd,
}
"""The kinds of `anchor_generator`, and what reads each."""
