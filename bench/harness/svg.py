# SPDX-License-Identifier: MIT
"""A line chart with logarithmic axes, and a chart of bars, as SVG."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 820, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 260, 50, 60
COLOURS = ["#1457a8", "#222222", "#d1495b", "#2e8b57", "#e08e0b", "#7b5ea7", "#5f9ea0"]
FONT = 'font-family="Helvetica, Arial, sans-serif"'


def short(value):
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:g}"


class Canvas:
    def __init__(self, title, width=WIDTH, height=HEIGHT):
        self.width = width
        self.height = height
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">',
            f'<rect width="{width}" height="{height}" fill="white"/>']
        self.text(LEFT, 28, title, 16, "start", "#111")

    def text(self, x, y, text, size=12, anchor="middle", colour="#444", turn=0):
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" {FONT} '
                          f'text-anchor="{anchor}" fill="{colour}"{turned}>{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, colour="#ddd", width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}" stroke-width="{width}"/>')

    def polyline(self, points, colour, width=2.5):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                          f'stroke-width="{width}" stroke-linejoin="round"/>')

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')

    def bar(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{height:.1f}" fill="{colour}"/>')

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join([*self.parts, "</svg>", ""]))


class LogScale:
    """From values to places, so that the decades around the values fill the room."""

    def __init__(self, values, first, last):
        self.low = math.floor(math.log10(min(values)) + 1e-9)
        self.high = max(math.ceil(math.log10(max(values)) - 1e-9), self.low + 1)
        self.first = first
        self.last = last

    def place(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.first + part * (self.last - self.first)

    def decades(self):
        return [10.0 ** power for power in range(self.low, self.high + 1)]


def spread_labels(wanted):
    """Move labels apart that would lie on each other. `wanted`: [(y, label, colour)]."""
    placed = []
    for y, label, colour in sorted(wanted):
        if placed and y < placed[-1][0] + 15:
            y = placed[-1][0] + 15
        placed.append((y, label, colour))
    return placed


def draw_series(canvas, points, across, up, colour):
    """points: (x, [median, min, max])."""
    places = [(across(x), up.place(figure[0])) for x, figure in points]
    canvas.polyline(places, colour)
    for x, (_, low, high) in points:
        canvas.line(across(x), up.place(low), across(x), up.place(high), colour, 1)
    for x, y in places:
        canvas.dot(x, y, colour)
    return places[-1][1]


def line_chart(path, title, x_label, y_label, series, x_text):
    """series: {name: [(x, [median, min, max])]}; all x are evenly spaced by their order."""
    series = {name: points for name, points in series.items() if points}
    values = [value for points in series.values() for _, figure in points for value in figure]
    if not values:
        return
    canvas = Canvas(title)
    xs = sorted({x for points in series.values() for x, _ in points})
    step = (WIDTH - LEFT - RIGHT) / max(1, len(xs) - 1)

    def across(x):
        return LEFT + xs.index(x) * step

    up = LogScale(values, HEIGHT - BOTTOM, TOP)
    for decade in up.decades():
        canvas.line(LEFT, up.place(decade), WIDTH - RIGHT, up.place(decade))
        canvas.text(LEFT - 8, up.place(decade) + 4, short(decade), 12, "end")
    for x in xs:
        canvas.line(across(x), TOP, across(x), HEIGHT - BOTTOM, "#eee")
        canvas.text(across(x), HEIGHT - BOTTOM + 18, x_text(x))
    labels = []
    for (name, points), colour in zip(series.items(), COLOURS):
        labels.append((draw_series(canvas, points, across, up, colour), name, colour))
    for y, name, colour in spread_labels(labels):
        canvas.text(WIDTH - RIGHT + 12, y + 4, name, 13, "start", colour)
    canvas.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, x_label, 13)
    canvas.text(20, (TOP + HEIGHT - BOTTOM) / 2, y_label, 13, turn=-90)
    canvas.save(path)


def bar_chart(path, title, x_label, groups, unit):
    """groups: [(name, [(label, value)])]; bars lie, on one logarithmic scale."""
    groups = [(name, bars) for name, bars in groups if bars]
    values = [value for _, bars in groups for _, value in bars]
    if not values:
        return
    count = len(values)
    canvas = Canvas(title, WIDTH, TOP + BOTTOM + 20 * count + 14 * len(groups))
    left = 270
    scale = LogScale(values, left, WIDTH - 80)
    bottom = canvas.height - BOTTOM
    for decade in scale.decades():
        canvas.line(scale.place(decade), TOP, scale.place(decade), bottom)
        canvas.text(scale.place(decade), bottom + 18, short(decade))
    y = TOP + 4
    for (name, bars), colour in zip(groups, COLOURS):
        for label, value in bars:
            canvas.bar(left, y, max(1, scale.place(value) - left), 15, colour)
            canvas.text(left - 8, y + 12, f"{name}: {label}", 12, "end")
            rounded = short(float(f"{value:.3g}"))
            canvas.text(scale.place(value) + 6, y + 12, f"{rounded} {unit}", 11, "start")
            y += 20
        y += 14
    canvas.text((left + WIDTH - 80) / 2, canvas.height - 14, x_label, 13)
    canvas.save(path)
