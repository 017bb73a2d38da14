#!/usr/bin/env python3
"""The text of the Rust Book and the Rust Reference, as plain text with light Markdown marks.

Both come with the Rust toolchain as HTML (`rustup component add rust-docs`) and are dual-licensed MIT or Apache-2.0. The single-page
edition of each (`print.html`) is stripped to text: headings get `#`, list items `-`, code stays as it is between fences.
Whole chapters are held out from training: one in twenty.
"""

import argparse
import hashlib
import subprocess
from html.parser import HTMLParser
from pathlib import Path

BOOKS = ("book", "reference")
HELD_OUT_EVERY = 20
"""One chapter in this many is held out."""

HEADINGS = {"h1": "#", "h2": "##", "h3": "###", "h4": "####", "h5": "#####"}
BLOCKS = {"p", "div", "ul", "ol", "table", "thead", "tbody", "tr", "section", "figure", "figcaption", "hr", "main", "blockquote"}
VOID = {"br", "wbr", "hr", "img", "input", "link", "meta", "path", "rect"}
SKIPPED_TAGS = {"script", "style", "svg", "button", "sup"}
SKIPPED_CLASSES = {"boring", "rule", "file-name", "grammar-railroad", "railroad-production", "alert-title"}
"""Lines of code the pages hide, rule labels, captions and diagrams: not prose, not code."""
TYPOGRAPHY = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "…": "...", "\u00a0": " ", "\u200b": None, "\t": "    ", "↩": None})


class TextOf(HTMLParser):
    """Collects the text inside `<main>`, chapter by chapter (a chapter begins at each `h1`)."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.chapters = [[]]
        self.stack = []
        self.in_main = False

    def write(self, text):
        self.chapters[-1].append(text)

    def inside(self, tag):
        return any(open_tag == tag for open_tag, _ in self.stack)

    def skipping(self):
        return any(skip for _, skip in self.stack)

    def handle_starttag(self, tag, attributes):
        if tag == "main":
            self.in_main = True
        if not self.in_main:
            return
        classes = set((dict(attributes).get("class") or "").split())
        if tag not in VOID:
            self.stack.append((tag, tag in SKIPPED_TAGS or bool(classes & SKIPPED_CLASSES)))
        if self.skipping():
            return
        if tag == "h1":
            self.chapters.append([])
        if tag in HEADINGS:
            self.write(f"\n\n{HEADINGS[tag]} ")
        elif tag == "pre":
            self.write("\n\n```\n")
        elif tag == "code" and not self.inside("pre"):
            self.write("`")
        elif tag == "li":
            self.write("\n- ")
        elif tag == "br":
            self.write("\n")
        elif tag in ("td", "th"):
            self.write(" | ")
        elif tag in BLOCKS and not self.in_item(tag):
            self.write("\n\n" if tag != "tr" else "\n")

    def in_item(self, tag):
        """Whether a block opens a list item, whose mark it must not push to a line of its own."""
        return tag == "p" and self.chapters[-1] and self.chapters[-1][-1] == "\n- "

    def handle_endtag(self, tag):
        if tag == "main":
            self.in_main = False
        if not self.in_main or tag in VOID:
            return
        skipped = self.skipping()
        while self.stack and self.stack.pop()[0] != tag:
            pass
        if skipped:
            return
        if tag == "pre":
            self.write("\n```\n\n")
        elif tag == "code" and not self.inside("pre"):
            self.write("`")
        elif tag in HEADINGS or tag in BLOCKS:
            self.write("\n\n" if tag != "tr" else "\n")

    def handle_data(self, data):
        if not self.in_main or self.skipping():
            return
        if self.inside("pre"):
            self.write(data)
        else:
            words = " ".join(data.split())
            lead = " " if data[:1].isspace() and words else ""
            tail = " " if data[-1:].isspace() and words else ""
            self.write(f"{lead}{words}{tail}" if words else ("" if "\n" in data else " "))


def tidy(parts):
    """One chapter's text: plain quotes, no blanks at line ends, at most one empty line in a row."""
    lines, empty, fenced = [], True, False
    for line in "".join(parts).translate(TYPOGRAPHY).split("\n"):
        line = line.rstrip()
        if line == "```":
            fenced = not fenced
            if not fenced and empty and lines:
                lines.pop()
        elif not fenced:
            line = " ".join(line.split())
        if line or not empty:
            lines.append(line)
        empty = not line or (fenced and line == "```")
    return "\n".join(lines).strip() + "\n"


def chapters_of(path):
    """The chapters of one book, in its order; empty ones are left out."""
    parser = TextOf()
    parser.feed(path.read_text(encoding="utf-8"))
    chapters = [tidy(parts) for parts in parser.chapters]
    return [chapter for chapter in chapters if len(chapter) > 1]


def documentation():
    """The HTML documentation of the toolchain that `rustc` on the PATH belongs to."""
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True).stdout.strip()
    root = Path(sysroot) / "share/doc/rust/html"
    for book in BOOKS:
        if not (root / book / "print.html").is_file():
            raise SystemExit(f"{root / book / 'print.html'} is missing: run `rustup component add rust-docs`")
    return root


def load(root):
    """Training text, held-out text, and the SHA-256 and size in bytes of all of it, in that order."""
    chapters = [chapter for book in BOOKS for chapter in chapters_of(root / book / "print.html")]
    held_out = chapters[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY]
    kept = [chapter for row, chapter in enumerate(chapters) if row % HELD_OUT_EVERY != HELD_OUT_EVERY // 2]
    whole = "\n".join(chapters).encode()
    return "\n".join(kept), "\n".join(held_out), hashlib.sha256(whole).hexdigest(), len(whole)


def toolchain():
    """The toolchain's version line, such as `rustc 1.95.0 (59807616e 2026-04-14)`."""
    return subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--html", type=Path, metavar="DIR", help="folder with book/ and reference/ (default: the toolchain's documentation)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write train.txt and held_out.txt here (default: only print figures)")
    arguments = parser.parse_args()
    train, held_out, digest, size = load(arguments.html or documentation())
    print(f"{size} bytes, sha256 {digest}, {toolchain()}")
    print(f"training {len(train)} characters, held out {len(held_out)}")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "train.txt").write_text(train, encoding="utf-8")
        (arguments.out / "held_out.txt").write_text(held_out, encoding="utf-8")


if __name__ == "__main__":
    main()
