# SPDX-License-Identifier: MIT
"""report.py PAGE: reads a report as browsers do, and as XML, and says what is wrong with it on stderr;
prints its figures as JSON: the rows of each table, by its section and headings. 0: nothing is wrong."""
import json
import sys
import xml.dom.minidom
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}
# What browsers fetch or run.
FORBIDDEN = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "base", "form"}
FETCHING = {"src", "srcset", "data", "action", "formaction", "poster", "background", "xlink:href"}
complaints = []


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links = [], set(), []
        self.section, self.tables, self.row, self.cell, self.texts = None, {}, None, None, []

    def handle_starttag(self, tag, attrs):
        self.handle_attributes(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "h2":
            self.section = dict(attrs).get("id")
        elif tag == "tr":
            self.row = []
        elif tag in ("td", "th"):
            self.cell = ""

    def handle_startendtag(self, tag, attrs):
        self.handle_attributes(tag, attrs)

    def handle_attributes(self, tag, attrs):
        if tag in FORBIDDEN:
            complaints.append(f"a {tag}")
        for name, value in attrs:
            if name in FETCHING or name.startswith("on"):
                complaints.append(f"{tag} has {name}")
            if name == "href":
                self.links.append(value)
            if name == "id":
                self.ids.add(value)
            if "://" in (value or "") and name != "xmlns":
                complaints.append(f"{tag} {name} names {value}")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            complaints.append(f"</{tag}> ends nothing")
        if tag in ("td", "th"):
            self.row.append(self.cell)
            self.cell = None
        elif tag == "tr":
            self.tables.setdefault(self.section, []).append(self.row)

    def handle_data(self, data):
        self.texts.append(data)
        if self.cell is not None:
            self.cell += data
        if self.open and self.open[-1] == "style":
            for word in ("url(", "@import", "://"):
                if word in data:
                    complaints.append(f"the style sheet has {word}")


with open(sys.argv[1], encoding="ascii") as file:
    text = file.read()
xml.dom.minidom.parseString(text)
page = Page()
page.feed(text)
page.close()
if page.open:
    complaints.append(f"not ended: {page.open}")
for link in page.links:
    if link[0] != "#" or link[1:] not in page.ids:
        complaints.append(f"a link to {link}")
figures = {}
for section, rows in page.tables.items():
    headings = rows[0]
    figures[section] = [dict(zip(headings, row)) for row in rows if len(row) == len(headings)
                        and row != headings]
json.dump({"tables": figures, "text": " ".join(" ".join(page.texts).split())}, sys.stdout)
for complaint in complaints:
    print(complaint, file=sys.stderr)
sys.exit(1 if complaints else 0)
