"""junit.py FILE: whether a file is JUnit XML as build servers read it.

The rules are those of the schema that Jenkins holds reports to (junit-10.xsd of its xUnit plugin): which elements stand in
which, and which attributes they must and may have. Counts must be those of the cases.
"""

import sys
import xml.etree.ElementTree as ET

# Element: elements in it, attributes it must have, and may have.
RULES = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
    ),
    "testcase": (
        {"skipped", "error", "failure", "system-out", "system-err"},
        {"name"},
        {"time", "classname", "group"},
    ),
    "failure": (set(), set(), {"type", "message"}),
    "error": (set(), set(), {"type", "message"}),
    "system-out": (set(), set(), set()),
}


def wrong(element):
    """What breaks the rules in an element and below."""
    inner, must, may = RULES.get(element.tag, (set(), set(), set()))
    if element.tag not in RULES:
        yield f"no element is called {element.tag}"
    yield from (f"{element.tag} has no {name}" for name in must - set(element.keys()))
    yield from (f"{element.tag} cannot have {name}" for name in set(element.keys()) - must - may)
    for child in element:
        if child.tag not in inner:
            yield f"{child.tag} cannot stand in {element.tag}"
        yield from wrong(child)
    if element.tag in ("testsuites", "testsuite"):
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            found = sum(1 for _ in element.iter(tag))
            if int(element.get(name, found)) != found:
                yield f"{element.tag} says {element.get(name)} {name} of {found}"


root = ET.parse(sys.argv[1]).getroot()
found = list(wrong(root)) if root.tag == "testsuites" else [f"it begins with {root.tag}"]
print("\n".join(found), end="")
sys.exit(bool(found))
