"""XML whose elements know where they stand in its bytes, so that a change leaves all others as they are.

Parsing and writing a tree anew would lose comments, prefixes, the form of attributes and what stands
around the root; here bytes are replaced, and those that nobody named stay.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from dam_pipeline.errors import UnreadableMedia

_BETWEEN = "\f"  # between the parts of a name as expat gives it; no XML can hold it
_START_TAG = re.compile(rb"""<(?:"[^"]*"|'[^']*'|[^>"'])*>""")
_ATTRIBUTE = re.compile(rb"""(\s+)([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")
_DECLARATION = re.compile(r"^<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)[\"']")
_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}

Name = tuple[str, str]  # namespace, local name


@dataclass(slots=True)
class Element:
    """An element: its bytes are `start` to `end`, its content `inner` to `inner_end`.

    `tag` is its name as written; `prefixes` those that it declares. `text` is what stands directly in it.
    """

    name: Name
    tag: str
    attributes: dict[Name, str]
    attribute_tags: dict[Name, str]
    prefixes: dict[str, str]
    parent: "Element | None"
    start: int
    inner: int
    inner_end: int = -1
    end: int = -1
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    @property
    def is_closed(self) -> bool:
        """Whether it is written as one tag, `<a/>`."""
        return self.inner == self.end

    def prefix_of(self, namespace: str) -> str:
        """A prefix that stands for a namespace in this element; empty where there is none."""
        scope: dict[str, str] = {}
        element: Element | None = self
        while element:
            scope = element.prefixes | scope
            element = element.parent
        return next((one for one, uri in scope.items() if one and uri == namespace), "")

    def named(self, name: Name) -> Iterator["Element"]:
        """The children of this name."""
        return (one for one in self.children if one.name == name)


class Markup:
    """An XML document in UTF-8, and the changes of it that were asked for."""

    def __init__(self, content: bytes) -> None:
        """Parse; raises UnreadableMedia for what is no whole XML, and for what declares entities."""
        self.content = _utf8(content)
        self._edits: list[tuple[int, int, bytes]] = []
        self.root = _Parsing(self.content).root

    def replace(self, start: int, end: int, text: str) -> None:
        """Put text in the place of some bytes; no two changes may overlap."""
        self._edits.append((start, end, text.encode()))

    def remove(self, element: Element) -> None:
        """Take an element out, with the blanks before it."""
        before = self.content[: element.start].rstrip()
        self.replace(len(before), element.end, "")

    def attribute_span(self, element: Element, name: Name) -> tuple[int, int, int]:
        """Where the blanks before an attribute, and its quoted value begin, and where it ends."""
        wanted = element.attribute_tags[name].encode()
        at = element.start + 1 + len(element.tag.encode())
        while found := _ATTRIBUTE.match(self.content, at):
            if found[2] == wanted:
                return found.start(), found.start(3), found.end()
            at = found.end()
        raise UnreadableMedia(f"has no attribute {wanted.decode()} where one was parsed.")

    def changed(self) -> bytes:
        """The document with all changes; those at one place in the order in which they were asked."""
        pieces, at = [], 0
        for start, end, text in sorted(self._edits, key=lambda one: one[:2]):
            pieces += [self.content[at:start], text]
            at = end
        return b"".join([*pieces, self.content[at:]])


class _Parsing:
    """The handlers of one run of expat."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._open: list[Element] = []
        self._prefixes: dict[str, str] = {}
        self._root: Element | None = None
        parser = expat.ParserCreate("UTF-8", _BETWEEN)
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = _refuse
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self._parser = parser
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            raise UnreadableMedia(f"is no whole XML ({error}).") from error

    @property
    def root(self) -> Element:
        if self._root is None:
            raise UnreadableMedia("is no whole XML (it is empty).")
        return self._root

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._prefixes[prefix or ""] = uri or ""

    def _start(self, name: str, attributes: list[str]) -> None:
        at = self._parser.CurrentByteIndex
        found = _START_TAG.match(self._content, at)
        inner = found.end() if found else at
        pairs = [(_parts(one), value) for one, value in _in_pairs(attributes)]
        key, tag = _parts(name)
        element = Element(
            name=key,
            tag=tag,
            attributes={one: value for (one, _), value in pairs},
            attribute_tags={one: written for (one, written), _ in pairs},
            prefixes=self._prefixes,
            parent=self._open[-1] if self._open else None,
            start=at,
            inner=inner,
        )
        if self._content[inner - 2 : inner] == b"/>":
            element.inner_end = element.end = inner
        self._prefixes = {}
        if element.parent:
            element.parent.children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _name: str) -> None:
        element = self._open.pop()
        if element.end < 0:
            element.inner_end = self._parser.CurrentByteIndex
            element.end = self._content.index(b">", element.inner_end) + 1

    def _text(self, text: str) -> None:
        self._open[-1].text += text


def _refuse(*_: Any) -> None:
    raise UnreadableMedia("declares a document type, which no sidecar does.")


def _parts(name: str) -> tuple[Name, str]:
    """Namespace and local name, and the name as it is written."""
    uri, local, prefix = (*(name.split(_BETWEEN) if _BETWEEN in name else ("", name)), "")[:3]
    return (uri, local), f"{prefix}:{local}" if prefix else local


def _in_pairs(names_and_values: list[str]) -> Iterable[tuple[str, str]]:
    return zip(names_and_values[::2], names_and_values[1::2], strict=True)


def _utf8(content: bytes) -> bytes:
    """The document in UTF-8, without a mark of the byte order; most are so already."""
    mark = next((one for one in _MARKS if content.startswith(one)), b"")
    try:
        if mark:
            text = content.decode(_MARKS[mark])
        elif named := _DECLARATION.match(content[:200].decode("latin-1").lstrip("ï»¿")):
            text = content.decode("utf-8-sig" if named[1].lower() == "utf-8" else named[1])
        else:
            text = content.decode("utf-8-sig")
    except (UnicodeDecodeError, LookupError) as error:
        raise UnreadableMedia(f"is no text ({error}).") from error
    named = _DECLARATION.match(text)
    if named and named[1].lower() != "utf-8":
        text = text[: named.start(1)] + "UTF-8" + text[named.end(1) :]
    return text.rstrip("\0").encode()
