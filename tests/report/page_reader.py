"""A page as a browser takes it apart: elements, visible text, styles, and what it would fetch."""

import re
from html.parser import HTMLParser
from pathlib import Path


class Reader(HTMLParser):
    """Collects elements, visible text, and what an element would fetch."""

    VOID = frozenset({"meta", "link", "img", "br", "input"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.styles: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.styles.append(data)
        elif not self.open or self.open[-1] != "script":
            self.text.append(data)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    return reader


def assert_offline(reader: Reader) -> None:
    """Nothing of the page points outside, and its policy would not let it."""
    for tag, attrs in reader.elements:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            link = attrs.get(name)
            # Namespaces are names, not addresses.
            assert link is None or link.startswith(("data:", "#")), (tag, name, link[:80])
    assert not re.search(r"url\(|@import|https?:", " ".join(reader.styles))
    policy = next(attrs["content"] for tag, attrs in reader.elements if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'none'" in policy
