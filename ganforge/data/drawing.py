"""The critters' drawing: a head-and-shoulders portrait in unit coordinates, y downwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

# How far the drawing reaches beyond the unit square on every side, so that it can be moved and scaled.
MARGIN = 0.15

INK, WHITE, PINK, TONGUE = (38, 30, 40), (255, 255, 255), (240, 150, 160), (232, 92, 110)


def mix(colour: Colour, other: Colour, amount: float) -> Colour:
    """Return ``colour`` moved towards ``other`` by ``amount`` in [0, 1]; each 0…255."""
    red, green, blue = (round(a + (b - a) * amount) for a, b in zip(colour, other))
    return red, green, blue


class Canvas:
    """A transparent square on which shapes are drawn in unit coordinates; ``size`` pixels span the unit."""

    def __init__(self, size: int) -> None:
        self.size = size
        side = round(size * (1 + 2 * MARGIN))
        self.image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)

    def _at(self, x: float, y: float) -> Point:
        return (x + MARGIN) * self.size, (y + MARGIN) * self.size

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """Fill an ellipse around (x, y)."""
        self._draw.ellipse([self._at(x - rx, y - ry), self._at(x + rx, y + ry)], fill=(*fill, 255))

    def polygon(self, points: Sequence[Point], fill: Colour, grow: float = 0.0) -> None:
        """Fill a polygon, grown by rounding its edges with a pen of radius ``grow``."""
        corners = [self._at(*point) for point in points]
        self._draw.polygon(corners, fill=(*fill, 255))
        if grow:
            for start, end in zip(points, [*points[1:], points[0]]):
                self.line([start, end], fill, 2 * grow)

    def line(self, points: Sequence[Point], fill: Colour, width: float) -> None:
        """Draw a line with round ends, ``width`` across."""
        pixels = [self._at(*point) for point in points]
        self._draw.line(pixels, fill=(*fill, 255), width=max(1, round(width * self.size)), joint="curve")
        for x, y in points:
            self.ellipse(x, y, width / 2, width / 2, fill)

    def turned(self, degrees: float, x: float, y: float) -> Image.Image:
        """Return the picture turned clockwise around (x, y)."""
        return self.image.rotate(-degrees, Image.Resampling.BICUBIC, center=self._at(x, y))


def portrait(species: str, ears: str, coat: Colour, pose: str, size: int) -> Image.Image:
    """Return a critter on nothing, RGBA, ``size * (1 + 2 * MARGIN)`` pixels square."""
    turn = {"left": -1.0, "front": 0.0, "right": 1.0}[pose]
    edge = mix(coat, INK, 0.72)
    body, head = Canvas(size), Canvas(size)
    _shoulders(body, coat, edge, turn)
    if species == "cat":
        _cat(head, coat, edge, turn)
    else:
        _dog(head, coat, edge, turn, ears)
    body.image.alpha_composite(head.turned(9 * turn, 0.5, 0.8))
    return body.image


def _shoulders(canvas: Canvas, coat: Colour, edge: Colour, turn: float) -> None:
    shade = mix(coat, INK, 0.14)
    x = 0.5 - 0.02 * turn
    canvas.ellipse(x, 1.12, 0.355, 0.345, edge)
    canvas.ellipse(x, 1.12, 0.325, 0.315, shade)
    canvas.ellipse(x + 0.02 * turn, 1.06, 0.15, 0.2, mix(coat, WHITE, 0.6))


def _head(canvas: Canvas, shapes: Sequence[tuple[float, float, float, float]], coat: Colour, edge: Colour) -> None:
    """Several ellipses as one shape with one outline."""
    for x, y, rx, ry in shapes:
        canvas.ellipse(x, y, rx + 0.03, ry + 0.03, edge)
    for x, y, rx, ry in shapes:
        canvas.ellipse(x, y, rx, ry, coat)


def _cat(canvas: Canvas, coat: Colour, edge: Colour, turn: float) -> None:
    face = 0.5 + 0.075 * turn
    for side in (-1, 1):
        # The ear on the far side of a turned head is seen narrower.
        wide = 1 - 0.22 * max(0.0, side * turn)
        outer, inner, tip = 0.5 + side * 0.295 * wide, 0.5 + side * 0.07, 0.5 + side * 0.29 * wide
        canvas.polygon([(outer, 0.4), (tip, 0.07), (inner, 0.28)], edge, 0.03)
        canvas.polygon([(outer, 0.4), (tip, 0.07), (inner, 0.28)], coat, 0.004)
        middle = (outer + inner + tip) / 3
        pull = [
            (p + (middle - p) * 0.42, y + (0.26 - y) * 0.42) for p, y in ((outer, 0.4), (tip, 0.09), (inner, 0.28))
        ]
        canvas.polygon(pull, PINK, 0.006)
    _head(canvas, [(0.5, 0.5, 0.31, 0.26), (0.5, 0.57, 0.345, 0.2)], coat, edge)
    stripe = mix(coat, INK, 0.45)
    for offset, low in ((-0.075, 0.34), (0.0, 0.375), (0.075, 0.34)):
        canvas.line([(face + offset * 0.9, 0.27), (face + offset * 0.75, low)], stripe, 0.032)
    pale = mix(coat, WHITE, 0.7)
    for side in (-1, 1):
        canvas.ellipse(face + side * 0.07, 0.635, 0.09, 0.072, pale)
    for side in (-1, 1):
        x = face + side * 0.148
        canvas.ellipse(x, 0.485, 0.09, 0.088, INK)
        canvas.ellipse(x, 0.485, 0.074, 0.073, (160, 214, 70))
        canvas.ellipse(x + 0.012 * turn, 0.487, 0.03, 0.064, INK)
        canvas.ellipse(x - 0.024, 0.455, 0.024, 0.024, WHITE)
    canvas.polygon([(face - 0.042, 0.57), (face + 0.042, 0.57), (face, 0.615)], (226, 96, 118), 0.01)
    for side in (-1, 1):
        canvas.line([(face, 0.62), (face + side * 0.025, 0.66), (face + side * 0.075, 0.655)], INK, 0.018)
    # Whiskers keep to whichever of dark and light stands out against the coat.
    whisker = WHITE if sum(coat) < 330 else mix(coat, INK, 0.8)
    for side in (-1, 1):
        for lift in (-0.05, 0.0, 0.05):
            start, end = (face + side * 0.15, 0.625 + lift * 0.4), (face + side * 0.335, 0.615 + lift * 1.3)
            canvas.line([start, end], whisker, 0.013)


def _dog(canvas: Canvas, coat: Colour, edge: Colour, turn: float, ears: str) -> None:
    face = 0.5 + 0.06 * turn
    # A white coat needs its markings darker, not lighter.
    light = sum(coat) > 720
    dark = mix(coat, INK, 0.42)
    if ears == "perky":
        for side in (-1, 1):
            wide = 1 - 0.18 * max(0.0, side * turn)
            x = 0.5 + side * 0.24 * wide
            _slanted(canvas, x, 0.25, 0.1 * wide, 0.18, 14 * side, edge, dark, taper=0.6)
            _slanted(canvas, x, 0.28, 0.052 * wide, 0.12, 14 * side, PINK, PINK, outline=0.0, taper=0.6)
    _head(canvas, [(0.5, 0.44, 0.275, 0.25), (0.5, 0.56, 0.25, 0.23)], coat, edge)
    if ears == "floppy":
        for side in (-1, 1):
            wide = 1 - 0.15 * max(0.0, side * turn)
            _slanted(canvas, 0.5 + side * 0.3 * wide, 0.48, 0.095 * wide, 0.24, -12 * side, edge, dark)
    canvas.ellipse(face - 0.115, 0.42, 0.1, 0.115, mix(coat, INK, 0.3) if light else mix(coat, WHITE, 0.45))
    canvas.ellipse(face, 0.78, 0.068, 0.095, INK)
    canvas.ellipse(face, 0.775, 0.05, 0.08, TONGUE)
    muzzle = mix(coat, INK, 0.13) if light else mix(coat, WHITE, 0.72)
    for x, y, rx, ry in (
        (face, 0.59, 0.14, 0.13),
        (face - 0.065, 0.65, 0.1, 0.088),
        (face + 0.065, 0.65, 0.1, 0.088),
    ):
        canvas.ellipse(x, y, rx, ry, muzzle)
    for side in (-1, 1):
        x = face + side * 0.118
        canvas.ellipse(x, 0.425, 0.058, 0.064, INK)
        canvas.ellipse(x, 0.43, 0.043, 0.048, (92, 54, 30))
        canvas.ellipse(x, 0.43, 0.03, 0.034, INK)
        canvas.ellipse(x - 0.016, 0.405, 0.022, 0.022, WHITE)
    canvas.line([(face, 0.6), (face, 0.68)], INK, 0.02)
    for side in (-1, 1):
        canvas.line([(face, 0.685), (face + side * 0.05, 0.715), (face + side * 0.11, 0.69)], INK, 0.02)
    canvas.ellipse(face, 0.565, 0.09, 0.062, INK)
    canvas.ellipse(face - 0.028, 0.545, 0.025, 0.014, (150, 145, 160))


def _slanted(
    canvas: Canvas,
    x: float,
    y: float,
    rx: float,
    ry: float,
    degrees: float,
    edge: Colour,
    fill: Colour,
    outline: float = 0.028,
    taper: float = 0.0,
) -> None:
    """An ellipse turned clockwise, narrower towards its top by ``taper`` in [0, 1), with an outline."""
    angle = math.radians(degrees)
    turns = [2 * math.pi * i / 40 for i in range(40)]
    for grow, colour in ((outline, edge), (0.0, fill)):
        points = [((rx * (1 + taper * math.sin(t)) + grow) * math.cos(t), (ry + grow) * math.sin(t)) for t in turns]
        canvas.polygon(
            [
                (x + a * math.cos(angle) - b * math.sin(angle), y + a * math.sin(angle) + b * math.cos(angle))
                for a, b in points
            ],
            colour,
        )
