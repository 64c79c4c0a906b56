"""Translate the anchors of a two-stage detector."""

from __future__ import annotations

from odflow.odapi.section import Section
from odflow.ops.anchors import Anchors, GridAnchors, MultiscaleAnchors
from odflow.training.faster_rcnn.settings import Extractor


def read_anchors(section: Section, extractor: Extractor) -> Anchors:
    """Read a `first_stage_anchor_generator`.

    Args:
        section: the message.
        extractor: one feature map takes a grid, a pyramid one grid a level.

    Raises:
        ConfigError: anchors that do not go with the feature maps.
    """
    wanted = "multiscale_anchor_generator" if extractor.pyramid else "grid_anchor_generator"
    kind = section.choice("anchor_generator_oneof")
    if kind != wanted:
        raise section.refuse_choice("anchor_generator_oneof", kind, [wanted])
    generator = section.section(kind)
    return _multiscale(generator, extractor) if extractor.pyramid else _grid(generator)


def _grid(generator: Section) -> GridAnchors:
    for name in ("scales", "aspect_ratios"):
        if not all(value > 0 for value in generator[name]) or not generator[name]:
            raise generator.refuse(name, list(generator[name]), "at least one number, all above 0")
    return GridAnchors(
        scales=tuple(generator["scales"]),
        aspect_ratios=tuple(generator["aspect_ratios"]),
        base_size=(generator.positive("height"), generator.positive("width")),
        stride=(generator.positive("height_stride"), generator.positive("width_stride")),
        offset=(generator["height_offset"], generator["width_offset"]),
    )


def _multiscale(generator: Section, extractor: Extractor) -> MultiscaleAnchors:
    pyramid = extractor.pyramid
    assert pyramid is not None
    for name in ("min_level", "max_level"):
        if generator[name] != getattr(pyramid, name):
            raise generator.refuse(
                name, generator[name], f"{getattr(pyramid, name)}, as in feature_extractor.fpn"
            )
    generator.honour("normalize_coordinates")  # the detector's own coordinates are pixels
    return MultiscaleAnchors(
        min_level=pyramid.min_level,
        max_level=pyramid.max_level,
        anchor_scale=generator["anchor_scale"],
        aspect_ratios=tuple(generator["aspect_ratios"]) or (1.0,),
        scales_per_octave=generator.positive("scales_per_octave"),
    )
