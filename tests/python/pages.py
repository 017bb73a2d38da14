"""Judges the pages and pictures that `bayplan report`, `plan` and `diff` write.

    pages.py FILE.svg|FILE.html...

A picture must be XML, refer to nothing but parts of itself, hold no script, and give rectangles names. A page must be HTML
whose elements close, name nothing that a browser would fetch, and carry a policy that allows its own style and script, by
the digests worked out here, and nothing else. Prints a JSON object for each file; ends with a message where one is wrong.
"""

import base64
import hashlib
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "input", "br", "link", "img"}
# Attributes by which a browser fetches, or runs something.
FETCHING = re.compile(r"^(src|srcset|href|xlink:href|data|action|formaction|poster|ping|background|style|on\w+)$")


def expect(holds, what):
    if not holds:
        sys.exit(what)


def picture(path):
    root = ElementTree.parse(path).getroot()
    expect(root.tag == f"{SVG}svg", f"{path}: its root is {root.tag}")
    titled = 0
    for element in root.iter():
        name = element.tag.removeprefix(SVG)
        expect(name in {"svg", "title", "style", "defs", "pattern", "rect", "line", "path", "text", "g"}, f"{path}: {name}")
        for key, value in element.attrib.items():
            expect(not FETCHING.match(key), f"{path}: {name} has {key}")
            expect("url(" not in value or value.startswith("url(#"), f"{path}: {value}")
        if name == "style":
            expect("url(" not in element.text and "@import" not in element.text, f"{path}: its style fetches")
        titled += name == "rect" and element.find(f"{SVG}title") is not None
    return {"rectangles": titled, "words": " ".join(t.text or "" for t in root.iter(f"{SVG}text"))}


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.path, self.open, self.texts, self.policy, self.kinds = path, [], {}, None, []

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            expect(not FETCHING.match(key), f"{self.path}: {tag} has {key}={value}")
        attributes = dict(attributes)
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        expect(tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}, f"{self.path}: {tag}")
        if tag in {"style", "script"}:
            self.kinds.append(attributes.get("type", tag))
            self.texts[self.kinds[-1]] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        expect(self.open and self.open.pop() == tag, f"{self.path}: {tag} closes what is not open")

    def handle_data(self, text):
        if self.open and self.open[-1] in {"style", "script"}:
            self.texts[self.kinds[-1]] += text


def page(path):
    parser = Page(path)
    parser.feed(Path(path).read_text(encoding="utf-8"))
    parser.close()
    expect(not parser.open, f"{path}: {parser.open} are left open")
    expect(parser.kinds == ["style", "application/json", "script"], f"{path}: {parser.kinds}")
    digest = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest(parser.texts['script'])}'; "
        f"style-src 'sha256-{digest(parser.texts['style'])}'; base-uri 'none'; form-action 'none'"
    )
    expect(
        parser.policy == policy,
        f"{path}: its policy is\n  {parser.policy}\nand should be\n  {policy}\n"
        "(runtime/report/src/html/style.sha256 and script.sha256 hold the digests)",
    )
    data = json.loads(parser.texts["application/json"])
    tensors = [len(plan["tensors"]["name"]) for plan in data["plans"]]
    return {"tensors": tensors, "ops": [plan["ops"]["count"] for plan in data["plans"]]}


def main():
    for path in sys.argv[1:]:
        print(json.dumps(picture(path) if path.endswith(".svg") else page(path)))


main()
