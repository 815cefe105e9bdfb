"""The page of scripts/failover-demo --html, from a run that is told by hand."""
from html.parser import HTMLParser

import timeline
from support import equal, true


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.counts, self.text = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        equal(self.open.pop(), tag, "the tag that is closed")

    def handle_data(self, data):
        self.text.append(data)


def test_page_shows_what_happened():
    lines = timeline.Timeline()
    for i in range(41):
        lines.progress(i * 0.25, i * 100 if i < 20 else max(1900, i * 100 - 200))
    lines.see(0.0, "leader of 0", 1)
    lines.see(1.0, "leader of 0", 1)
    lines.see(5.1, "leader of 0", 2)
    lines.see(0.0, "broker 1", True)
    lines.see(5.0, "broker 1", False)
    lines.event(5.0, "kill -9 of broker <1>", is_harm=True)
    lines.gap(5.0, 5.12)
    equal(lines.seen["leader of 0"], [(0.0, 1), (5.1, 2)], "leaders, without what did not change")
    equal(lines.rates()[4], (1.0, 400.0), "writes a second")
    page = Tags(timeline.html(lines, "a run", "PASS", True, (("kill", "gap"), [("broker 1", "120 ms")])))
    equal(page.open, [], "tags that are left open")
    equal(page.counts["rect"], 1 + 2 + 2, "the gap, two leaders, two states")
    text = " ".join(page.text)
    for words in ("kill -9 of broker <1>", "no acknowledgement for 120 ms", "leader of 0: broker 2", "120 ms"):
        true(words in text, f"{words} in {text}")
