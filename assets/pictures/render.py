#!/usr/bin/env python3
"""Draws a terminal's screen as SVG: reads what `tmux capture-pane -e -p` prints, writes the picture to standard output.

    tmux capture-pane -t SESSION -e -p | python3 render.py > bay-plan.svg

Needs nothing but Python. Handles the SGR sequences that terminals send: colours (16, 256, true), bold, dim, reverse.
"""

import re
import sys
import unicodedata
from xml.sax.saxutils import escape

CELL_W, CELL_H, PAD = 8.4, 17, 12
BACKGROUND, FOREGROUND = "#14161a", "#d7dae0"
BASIC = ["#14161a", "#d55e00", "#009e73", "#f0e442", "#0072b2", "#cc79a7", "#56b4e9", "#d7dae0",
         "#5c6370", "#e69f00", "#44c79a", "#f7ef8a", "#4ba3dc", "#e5a5c8", "#8fd0f5", "#ffffff"]
SEQUENCE = re.compile(r"\x1b\[([0-9;:]*)m|\x1b\[[0-9;?]*[A-Za-ln-z]|\x1b[()][A-Z0-9]|[\x0e\x0f]")


def palette(index):
    """The colour with that number of the 256."""
    if index < 16:
        return BASIC[index]
    if index < 232:
        levels = [0, 95, 135, 175, 215, 255]
        index -= 16
        return "#%02x%02x%02x" % (levels[index // 36], levels[index // 6 % 6], levels[index % 6])
    grey = 8 + 10 * (index - 232)
    return "#%02x%02x%02x" % (grey, grey, grey)


class Style:
    """What the sequences so far have set."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.fg = self.bg = None
        self.bold = self.dim = self.reverse = False

    def colours(self):
        fg, bg = self.fg or FOREGROUND, self.bg or BACKGROUND
        return (bg, fg) if self.reverse else (fg, bg)

    def apply(self, parameters):
        codes = [int(code) if code else 0 for code in parameters.replace(":", ";").split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.reset()
            elif code == 1:
                self.bold = True
            elif code == 2:
                self.dim = True
            elif code == 22:
                self.bold = self.dim = False
            elif code in (7, 27):
                self.reverse = code == 7
            elif code in (38, 48):
                colour = self.extended(codes)
                self.fg, self.bg = (colour, self.bg) if code == 38 else (self.fg, colour)
            elif code == 39:
                self.fg = None
            elif code == 49:
                self.bg = None
            elif 30 <= code <= 37 or 90 <= code <= 97:
                self.fg = BASIC[code - 30 if code < 90 else code - 82]
            elif 40 <= code <= 47 or 100 <= code <= 107:
                self.bg = BASIC[code - 40 if code < 100 else code - 92]

    @staticmethod
    def extended(codes):
        if codes[:1] == [5] and len(codes) >= 2:
            colour = palette(codes[1])
            del codes[:2]
            return colour
        if codes[:1] == [2] and len(codes) >= 4:
            colour = "#%02x%02x%02x" % tuple(codes[1:4])
            del codes[:4]
            return colour
        codes.clear()
        return None


def width(char):
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def runs(line, style):
    """Stretches of a line in one style: (column, text, foreground, background, bold, dim)."""
    column = at = 0
    while at < len(line):
        found = SEQUENCE.match(line, at)
        if found:
            if found.group(1) is not None:
                style.apply(found.group(1))
            at = found.end()
            continue
        end = line.find("\x1b", at)
        text = line[at:len(line) if end < 0 else end]
        text = text or line[at]
        fg, bg = style.colours()
        yield column, text, fg, bg, style.bold, style.dim
        column += sum(width(char) for char in text)
        at += len(text)


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    style, shapes, columns = Style(), [], 0
    for row, line in enumerate(lines):
        y = PAD + row * CELL_H
        for column, text, fg, bg, bold, dim in runs(line, style):
            cells = sum(width(char) for char in text)
            columns = max(columns, column + cells)
            x = PAD + column * CELL_W
            if bg != BACKGROUND:
                shapes.append(f'<rect x="{x:.1f}" y="{y}" width="{cells * CELL_W + 0.3:.1f}" height="{CELL_H}" fill="{bg}"/>')
            if text.strip():
                extra = ' font-weight="bold"' if bold else ""
                extra += ' opacity="0.6"' if dim else ""
                shapes.append(f'<text x="{x:.1f}" y="{y + 13}" fill="{fg}" textLength="{cells * CELL_W:.1f}"'
                              f' xml:space="preserve"{extra}>{escape(text)}</text>')
    w, h = columns * CELL_W + 2 * PAD, len(lines) * CELL_H + 2 * PAD
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0f}" height="{h}" viewBox="0 0 {w:.0f} {h}"'
          ' font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>')
    print("\n".join(shapes))
    print("</svg>")


if __name__ == "__main__":
    main()
