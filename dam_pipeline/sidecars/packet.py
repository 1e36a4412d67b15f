"""An XMP packet: what it says in our fields, and the same packet saying something else there.

All that is not ours stays byte for byte: develop settings, histories, other languages of a title,
unknown namespaces, comments, the order and form of everything.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.sidecars.fields import (
    KEYWORDS,
    METADATA_DATE,
    NAMESPACES,
    PROPERTIES,
    RDF,
    SOURCE_TYPES,
    TREES,
    Property,
    Value,
    Values,
    tidy,
)
from dam_pipeline.sidecars.markup import Element, Markup, Name

LANGUAGE = ("http://www.w3.org/XML/1998/namespace", "lang")
DEFAULT = "x-default"
LISTS = tuple((RDF, kind) for kind in ("Bag", "Seq", "Alt"))
ITEM = (RDF, "li")
INDENT = "\n   "

Paths = Mapping[str, Sequence[str]]  # of a keyword what is wider, the widest first

_EMPTY = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="dam_pipeline">
 <rdf:RDF xmlns:rdf="{rdf}">
  <rdf:Description rdf:about=""{namespaces}>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def empty_packet() -> bytes:
    """A packet that says nothing but when it was made."""
    names = ("dc", "Iptc4xmpCore", "Iptc4xmpExt", "lr", "photoshop", "xmp")
    declared = "".join(f'\n    xmlns:{one}="{NAMESPACES[one]}"' for one in names)
    written = f'\n   xmp:MetadataDate="{_now()}"'
    return _EMPTY.format(rdf=RDF, namespaces=declared + written).encode()


def read_packet(content: bytes) -> dict[str, Value]:
    """What a packet says in our fields; raises UnreadableMedia for what is no whole XMP."""
    packet = _Packet(content)
    found: dict[str, Value] = {}
    for name, one in PROPERTIES.items():
        texts = [text for raw in packet.texts(one) if (text := tidy(name, raw))]
        if name == KEYWORDS:
            found[name] = tuple({text.casefold(): text for text in reversed(texts)}.values())[::-1]
        elif texts:
            found[name] = ", ".join(texts) if one.form == "Seq" else texts[0]
    return {name: value for name, value in found.items() if value}


def changed_packet(content: bytes, wanted: Values, fields: Iterable[str], paths: Paths) -> bytes:
    """The packet as it says what is wanted in these fields, and as before in all else.

    `paths` gives what is wider than a keyword, for lists with a hierarchy.
    """
    packet = _Packet(content)
    for name in fields:
        value = wanted.get(name)
        if name == KEYWORDS:
            packet.set_keywords(tuple(value or ()), paths)
        elif isinstance(value, str):
            text = SOURCE_TYPES + value if name == "source_type" else value
            packet.set_text(PROPERTIES[name], text)
        else:
            packet.remove(PROPERTIES[name])
    if packet.has(METADATA_DATE):
        packet.set_text(METADATA_DATE, _now())
    return packet.changed()


class _Packet:
    """The properties of a parsed packet, and changes of them."""

    def __init__(self, content: bytes) -> None:
        self._markup = Markup(content)
        graph = _find(self._markup.root, (RDF, "RDF"))
        self._blocks = list(graph.named((RDF, "Description"))) if graph else []
        if not self._blocks:
            raise UnreadableMedia("is no XMP: it has no rdf:Description.")
        self._added: dict[int, list[str]] = {}  # by the start of the block

    def has(self, one: Property) -> bool:
        return bool(self._elements(one) or self._attributes(one))

    def texts(self, one: Property) -> list[str]:
        """The values of a property; of one with languages the default's, else the first one."""
        for element in self._elements(one):
            if items := _items(element):
                default = [item for item in items if _language(item) == DEFAULT]
                chosen = (default or items)[:1] if one.form == "languages" else items
                return [_text(item) for item in chosen]
            return [_text(element)]
        return [block.attributes[_name(one)] for block in self._attributes(one)][:1]

    def set_text(self, one: Property, text: str) -> None:
        """Make a property say this: where it stands already in its place, else in a new element."""
        elements, blocks = self._elements(one), self._attributes(one)
        self._remove(elements[1:], blocks[0 if elements else 1 :], one)
        if not elements and blocks:
            _, start, end = self._markup.attribute_span(blocks[0], _name(one))
            self._markup.replace(start, end, quoteattr(text))
        elif not elements:
            self._add(one, [text])
        elif one.form == "languages" and (items := self._in_default(elements[0])):
            for item in items:
                self._markup.replace(item.inner, item.inner_end, escape(text))
        else:
            self._put(elements[0], one, [text])

    def set_keywords(self, words: Sequence[str], paths: Paths) -> None:
        """Make the keywords these, and bring the lists with a hierarchy along."""
        before = {tidy(KEYWORDS, one) for one in self.texts(PROPERTIES[KEYWORDS])}
        self._set_list(PROPERTIES[KEYWORDS], words)
        gone = {one.casefold() for one in before} - {one.casefold() for one in words}
        for tree, between in TREES.items():
            kept = [
                one
                for one in self.texts(tree)
                if one.rpartition(between)[2].strip().casefold() not in gone
            ]
            leaves = {one.rpartition(between)[2].strip().casefold() for one in kept}
            new = [
                between.join((*paths.get(word, ()), word))
                for word in words
                if word.casefold() not in leaves and between not in word
            ]
            if self.has(tree) or (tree.prefix == "lr" and any(between in one for one in new)):
                self._set_list(tree, [*kept, *new])

    def remove(self, one: Property) -> None:
        """Take a property out, in all its languages."""
        self._remove(self._elements(one), self._attributes(one), one)

    def changed(self) -> bytes:
        """The packet with all changes."""
        for block in self._blocks:
            if added := "".join(self._added.get(block.start, [])):
                if block.is_closed:
                    end = f">{added}\n  </{block.tag}>"
                    self._markup.replace(block.end - 2, block.end, end)
                else:
                    last = block.children[-1].end if block.children else block.inner
                    self._markup.replace(last, last, added)
        return self._markup.changed()

    def _set_list(self, one: Property, values: Sequence[str]) -> None:
        elements = self._elements(one)
        if not values:
            self.remove(one)
            return
        self._remove(elements[1:], self._attributes(one), one)
        items = _items(elements[0]) if elements else []
        if not items:
            self._put(elements[0], one, values) if elements else self._add(one, values)
            return
        content, there = self._markup.content, {}
        for item in reversed(items):
            for key in (tidy(KEYWORDS, _text(item)), _text(item)):
                there[key] = content[item.start : item.end].decode()
        holder = items[0].parent or elements[0]
        between = content[holder.inner : items[0].start].decode()
        between = between if not between.strip() else ""
        tag = items[0].tag
        texts = [there.get(value) or f"<{tag}>{escape(value)}</{tag}>" for value in values]
        self._markup.replace(items[0].start, items[-1].end, between.join(texts))

    def _in_default(self, element: Element) -> list[Element]:
        """The entries of the default language, and of the language that it is repeated for."""
        items = [one for one in _items(element) if not one.is_closed and not one.children]
        default = [one for one in items if _language(one) == DEFAULT]
        return [one for one in items if default and one.text == default[0].text]

    def _add(self, one: Property, values: Sequence[str]) -> None:
        """A new element, in a block that knows the namespace if there is one."""
        knowing = [block for block in self._blocks if block.prefix_of(one.namespace)]
        block = (knowing or self._blocks)[0]
        self._added.setdefault(block.start, []).append(INDENT + _element(block, one, values))

    def _put(self, element: Element, one: Property, values: Sequence[str]) -> None:
        scope = element.parent or element
        self._markup.replace(element.start, element.end, _element(scope, one, values))

    def _remove(
        self, elements: Iterable[Element], blocks: Iterable[Element], one: Property
    ) -> None:
        for element in elements:
            self._markup.remove(element)
        for block in blocks:
            start, _, end = self._markup.attribute_span(block, _name(one))
            self._markup.replace(start, end, "")

    def _elements(self, one: Property) -> list[Element]:
        return [element for block in self._blocks for element in block.named(_name(one))]

    def _attributes(self, one: Property) -> list[Element]:
        return [block for block in self._blocks if _name(one) in block.attributes]


def _element(scope: Element, one: Property, values: Sequence[str]) -> str:
    """The markup of a property; namespaces that nobody around it declares, it declares itself."""
    prefix, rdf = scope.prefix_of(one.namespace), scope.prefix_of(RDF)
    declared = "" if prefix else f' xmlns:{one.prefix}="{one.namespace}"'
    declared += "" if rdf else f' xmlns:rdf="{RDF}"'
    name, rdf = f"{prefix or one.prefix}:{one.name}", rdf or "rdf"
    if one.form == "text":
        return f"<{name}{declared}>{escape(values[0])}</{name}>"
    language = f' xml:lang="{DEFAULT}"' if one.form == "languages" else ""
    holder = f"{rdf}:{'Alt' if one.form == 'languages' else one.form}"
    items = [f"{INDENT}  <{rdf}:li{language}>{escape(text)}</{rdf}:li>" for text in values]
    inner = f"{INDENT} <{holder}>{''.join(items)}{INDENT} </{holder}>{INDENT}"
    return f"<{name}{declared}>{inner}</{name}>"


def _find(element: Element, name: Name) -> Element | None:
    """The first element of this name in document order, not deeper than packets have it."""
    for one in (element, *element.children):
        if one.name == name:
            return one
    return None


def _name(one: Property) -> Name:
    return one.namespace, one.name


def _items(element: Element) -> list[Element]:
    """The entries of a property that is a list."""
    return [item for one in element.children if one.name in LISTS for item in one.named(ITEM)]


def _language(item: Element) -> str:
    return item.attributes.get(LANGUAGE, "")


def _text(element: Element) -> str:
    """The text of an entry, also of one that has qualifiers, or names a resource."""
    inner = next((one for one in element.children if one.name[0] == RDF), None)
    if inner is not None:
        value = inner if inner.name[1] == "value" else next(inner.named((RDF, "value")), inner)
        return value.text
    return element.text or element.attributes.get((RDF, "resource"), "")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
