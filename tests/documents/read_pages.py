"""A page as somebody else's parser reads it: what is not closed, or closed twice, is an error here."""

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "link", "img", "input"}


class ReadPage(HTMLParser):
    """``elements``: every element with its attributes, in order. ``text``: what is read, style sheets left out."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.headings, self.texts, self.faults = [], [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == [], f"never closed: {self.open}"
        assert self.faults == []

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def named(self, name):
        return [attributes for element, attributes in self.elements if element == name]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"an attribute twice: {tag} {names}")
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append([tag, ""])

    def handle_startendtag(self, tag, attrs):
        self.faults.append(f"closes itself: {tag}")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"closed without being open: {tag}")

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.texts.append(data)
        if self.open and any(each in ("h1", "h2", "h3") for each in self.open):
            self.headings[-1][1] += data

    def section(self, page, title):
        """The text of one section."""
        inside = page.split(f"<h2>{title}</h2>")[1].split("<h2>")[0]
        return ReadPage(f"<div>{inside.split('</section>')[0]}</div>").text
