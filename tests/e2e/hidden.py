"""Prints name and value of each hidden field of a page, with a tab between.

usage: hidden.py PAGE
"""
import html.parser
import sys


class Fields(html.parser.HTMLParser):
    """Of all forms of the page."""

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "input" and attributes.get("type") == "hidden":
            print(attributes["name"], attributes["value"], sep="\t")


with open(sys.argv[1], encoding="utf-8") as page:
    Fields().feed(page.read())
