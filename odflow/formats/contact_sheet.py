"""Contact sheets: many pictures on one, with the boxes that were found in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_PAPER = "#f4f5f7"
_FRAME = "#23272e"
_INK = "#23272e"
_PALE_INK = "#6b7280"
_GAP = 10
# Far apart in hue and lightness, also on photographs; the first few matter most.
_COLOURS = (
    *("#ff5a36", "#18b7f0", "#ffc21a", "#35c759", "#b56bff", "#ff6fb5"),
    *("#00c2a8", "#f58231", "#7c8cff", "#a8d62b", "#d96b6b", "#9fb3c8"),
)


@dataclass(frozen=True)
class DrawnBox:
    """One box to draw.

    Attributes:
        xyxy: xmin ymin xmax ymax in pixels of the picture as it was read.
        name: its class.
        score: 0 to 1; None for ground truth, which is drawn as a thin dashed line.
    """

    xyxy: tuple[float, float, float, float]
    name: str
    score: float | None


@dataclass
class ContactSheet:
    """Pictures in a grid, each in a tile of 4:3 with a caption below.

    Attributes:
        columns: tiles in a row.
        width: of a tile, in pixels.
        colours: by class name; see `class_colours`.
    """

    columns: int
    width: int
    colours: Mapping[str, str]
    _tiles: list[Image.Image] = field(default_factory=list, repr=False)

    def add(self, picture: NDArray[np.uint8], boxes: Iterable[DrawnBox], caption: str) -> None:
        """Draw the next picture.

        Args:
            picture: (height, width, 3) uint8 RGB.
            boxes: the last one is drawn on top.
            caption: a line of text; cut where it is too long.
        """
        height = self.width * 3 // 4
        scale = min(self.width / picture.shape[1], height / picture.shape[0])
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        left, top = (self.width - size[0]) // 2, (height - size[1]) // 2
        tile = Image.new("RGB", (self.width, height + self._text_size * 2), _PAPER)
        tile.paste(_FRAME, (0, 0, self.width, height))
        scaled = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
        draw = ImageDraw.Draw(scaled)
        for box in boxes:
            corners = [round(value * scale) for value in box.xyxy]
            self._draw_box(draw, corners, box)
        tile.paste(scaled, (left, top))
        font = _font(self._text_size)
        line = _cut(caption, font, self.width)
        ImageDraw.Draw(tile).text((0, height + self._text_size * 0.4), line, fill=_INK, font=font)
        self._tiles.append(tile)

    def picture(self, note: str) -> Image.Image:
        """Put the tiles together, with a note and the colours of the classes at the bottom."""
        columns = max(1, min(self.columns, len(self._tiles)))
        rows = -(-len(self._tiles) // columns)
        tile_height = self._tiles[0].height if self._tiles else 0
        legend = self._legend(columns * (self.width + _GAP) - _GAP, note)
        size = (columns * (self.width + _GAP) + _GAP, rows * (tile_height + _GAP) + legend.height + _GAP)
        sheet = Image.new("RGB", size, _PAPER)
        for index, tile in enumerate(self._tiles):
            row, column = divmod(index, columns)
            sheet.paste(tile, (_GAP + column * (self.width + _GAP), _GAP + row * (tile_height + _GAP)))
        sheet.paste(legend, (_GAP, size[1] - legend.height))
        return sheet

    @property
    def _text_size(self) -> int:
        return max(9, self.width // 27)

    def _draw_box(self, draw: ImageDraw.ImageDraw, corners: Sequence[int], box: DrawnBox) -> None:
        xmin, ymin, xmax, ymax = corners
        xmax, ymax = max(xmax, xmin + 1), max(ymax, ymin + 1)
        if box.score is None:
            _dashed(draw, (xmin, ymin, xmax, ymax))
            return
        colour = self.colours[box.name]
        draw.rectangle((xmin - 1, ymin - 1, xmax + 1, ymax + 1), outline=_FRAME)
        draw.rectangle((xmin, ymin, xmax, ymax), outline=colour, width=max(2, self.width // 140))
        self._draw_label(draw, (xmin, ymin), f"{box.name} {box.score:.2f}", colour)

    def _draw_label(self, draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, colour: str) -> None:
        """A filled label on top of the box, or inside it where the picture ends above."""
        font = _font(self._text_size)
        wide, high = round(font.getlength(text)) + 6, round(self._text_size * 1.3)
        left = max(0, min(at[0], draw.im.size[0] - wide))
        top = at[1] - high if at[1] >= high else at[1]
        draw.rectangle((left, top, left + wide, top + high), fill=colour)
        draw.text((left + 3, top + high / 2), text, fill=_FRAME, font=font, anchor="lm")

    def _legend(self, width: int, note: str) -> Image.Image:
        font, line = _font(self._text_size), round(self._text_size * 1.8)
        places, x, y = [], 0, line
        for name in self.colours:
            wide = line + round(font.getlength(name)) + _GAP
            if x and x + wide > width:
                x, y = 0, y + line
            places.append((name, x, y))
            x += wide
        legend = Image.new("RGB", (width, y + line + _GAP // 2), _PAPER)
        draw = ImageDraw.Draw(legend)
        draw.text((0, line / 2), _cut(note, font, width), fill=_PALE_INK, font=font, anchor="lm")
        side = self._text_size
        for name, x, y in places:
            draw.rectangle(
                (x, y + (line - side) // 2, x + side, y + (line + side) // 2), fill=self.colours[name]
            )
            draw.text((x + side + 6, y + line / 2), name, fill=_INK, font=font, anchor="lm")
        return legend


def class_colours(names: Iterable[str]) -> dict[str, str]:
    """Give each class its colour, in the order of their names.

    >>> class_colours(["cube", "ball"])
    {'ball': '#ff5a36', 'cube': '#18b7f0'}
    """
    return {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(sorted(set(names)))}


def evenly(names: Iterable[str], count: int) -> list[str]:
    """Choose `count` names, spread evenly over the sorted ones.

    >>> evenly("fbdace", 3)
    ['a', 'c', 'e']
    """
    ordered = sorted(set(names))
    count = min(count, len(ordered))
    return [ordered[index * len(ordered) // count] for index in range(count)]


def _dashed(draw: ImageDraw.ImageDraw, corners: tuple[int, int, int, int]) -> None:
    """A thin box, white dashes on black, which shows on anything."""
    xmin, ymin, xmax, ymax = corners
    draw.rectangle(corners, outline="black")
    for x in range(xmin, xmax, 8):
        for y in (ymin, ymax):
            draw.line((x, y, min(x + 4, xmax), y), fill="white")
    for y in range(ymin, ymax, 8):
        for x in (xmin, xmax):
            draw.line((x, y, x, min(y + 4, ymax)), fill="white")


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _cut(text: str, font: Font, width: int) -> str:
    """Shorten a text that is wider than `width` pixels, in its middle."""
    if font.getlength(text) <= width:
        return text
    keep = len(text)
    while keep > 2 and font.getlength(f"{text[: keep // 2]}...{text[-(keep - keep // 2) :]}") > width:
        keep -= 1
    return f"{text[: keep // 2]}...{text[-(keep - keep // 2) :]}"
