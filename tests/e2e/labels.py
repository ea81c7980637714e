"""Holds a page to what a screen reader needs: a language, a title, one heading, a label for every field, a text on every button.

usage: labels.py PAGE
"""
import html.parser
import sys


class Page(html.parser.HTMLParser):
    """What the page has, by kind."""

    def __init__(self):
        super().__init__()
        self.fields, self.labels, self.ids, self.described = [], [], [], []
        self.counts = {}
        self.language = ""

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "html":
            self.language = attributes.get("lang", "")
        if tag == "input" and attributes.get("type") != "hidden":
            self.fields.append(attributes.get("id"))
        if tag == "label":
            self.labels.append(attributes.get("for"))
        if "aria-describedby" in attributes:
            self.described.append(attributes["aria-describedby"])


def main():
    parsed = Page()
    with open(sys.argv[1], encoding="utf-8") as page:
        parsed.feed(page.read())
    found = [f"the field {name} has no label" for name in parsed.fields if name is None or name not in parsed.labels]
    found += [f"the label for {name} has no field" for name in parsed.labels if name not in parsed.fields]
    found += [f"nothing is called {name}" for name in parsed.described if name not in parsed.ids]
    found += [f"there is not one {tag} but {parsed.counts.get(tag, 0)}" for tag in ("h1", "title", "main") if parsed.counts.get(tag) != 1]
    if not parsed.language:
        found.append("the page does not say its language")
    if len(set(parsed.ids)) != len(parsed.ids):
        found.append("an id stands twice")
    print("\n".join(found) or "all is labelled")
    return 1 if found else 0


sys.exit(main())
