"""What happened in a demo, over time: how fast writes went, who led and who was the controller, which brokers were up, and
when harm was done; as one HTML page that needs nothing else.

Timeline is told; html() draws. No clock is read here.
"""
import html as markup

COLOURS = ("#3b7dd8", "#e08a1e", "#2f9e5a", "#9b59b6", "#c0392b", "#16a2a2", "#7f6a00", "#555577", "#aa5588")
WIDTH, LEFT, LANE = 1000, 130, 22

STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --faint: #8884; --bad: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #ddd; --paper: #16181c; } }
body { font: 15px/1.4 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2em auto; max-width: 1040px; padding: 0 1em; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 12px; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid var(--faint); }
.verdict { font-weight: 600; font-size: 1.2em; } .bad { color: var(--bad); }
.key span { display: inline-block; margin-right: 1em; } .key i { display: inline-block; width: 1em; height: 1em; margin-right: .3em; vertical-align: -2px; }
"""


class Timeline:
    """Times are seconds since the start."""

    def __init__(self):
        self.acknowledged = []  # (time, records acknowledged until then)
        self.seen = {}          # lane -> [(time, value)], a value holds until the next
        self.events = []        # (time, text, is_harm)
        self.gaps = []          # (begin, end)

    def progress(self, at, acknowledged):
        self.acknowledged.append((at, acknowledged))

    def see(self, at, lane, value):
        """`value` is a broker, None for nobody, or True and False for up and down."""
        past = self.seen.setdefault(lane, [])
        if not past or past[-1][1] != value:
            past.append((at, value))

    def event(self, at, text, is_harm=False):
        self.events.append((at, text, is_harm))

    def gap(self, begin, end):
        self.gaps.append((begin, end))

    def end(self):
        times = [t for t, _ in self.acknowledged] + [t for t, _, _ in self.events] + [t for past in self.seen.values() for t, _ in past]
        return max(times, default=1.0) or 1.0

    def rates(self, bucket=0.25):
        """[(begin of the bucket, records a second)]"""
        counts = {}
        before = 0
        for at, total in self.acknowledged:
            slot = int(at / bucket)
            counts[slot] = counts.get(slot, 0) + max(0, total - before)
            before = max(before, total)
        last = int(self.end() / bucket)
        return [(slot * bucket, counts.get(slot, 0) / bucket) for slot in range(last + 1)]


def colour(broker):
    return COLOURS[(int(broker) - 1) % len(COLOURS)]


class _Drawing:
    def __init__(self, timeline):
        self.timeline = timeline
        self.scale = (WIDTH - LEFT) / timeline.end()
        self.parts = []
        self.y = 20

    def x(self, at):
        return LEFT + at * self.scale

    def add(self, tag, text=None, title=None, **attributes):
        words = " ".join(f'{name.replace("_", "-")}="{markup.escape(str(value))}"' for name, value in attributes.items())
        inner = (f"<title>{markup.escape(title)}</title>" if title else "") + (markup.escape(text) if text is not None else "")
        self.parts.append(f"<{tag} {words}>{inner}</{tag}>")

    def writes(self):
        height = 110
        rates = self.timeline.rates()
        most = max((rate for _, rate in rates), default=0) or 1
        points = [f"{self.x(0):.1f},{self.y + height}"]
        for at, rate in rates:
            points.append(f"{self.x(at):.1f},{self.y + height - rate / most * height:.1f}")
        points.append(f"{self.x(self.timeline.end()):.1f},{self.y + height}")
        self.add("polygon", points=" ".join(points), fill="#3b7dd866", stroke="#3b7dd8")
        self.add("text", "writes a second", x=0, y=self.y + 14)
        self.add("text", f"up to {most:,.0f}", x=0, y=self.y + 30)
        for begin, end in self.timeline.gaps:
            self.add("rect", title=f"no acknowledgement for {(end - begin) * 1000:.0f} ms", x=f"{self.x(begin):.1f}", y=self.y,
                     width=f"{max(2.0, (end - begin) * self.scale):.1f}", height=height, fill="#c0392b66")
        self.y += height + 12

    def lane(self, name, past):
        self.add("text", name, x=0, y=self.y + 15)
        for i, (at, value) in enumerate(past):
            until = past[i + 1][0] if i + 1 < len(past) else self.timeline.end()
            is_state = isinstance(value, bool)
            fill = ("#2f9e5a" if value else "#c0392b") if is_state else "#8884" if value is None else colour(value)
            what = ("up" if value else "down") if is_state else "nobody" if value is None else f"broker {value}"
            self.add("rect", title=f"{name}: {what}, {at:.1f} to {until:.1f} s", x=f"{self.x(at):.1f}", y=self.y,
                     width=f"{max(1.0, (until - at) * self.scale):.1f}", height=LANE - 4, fill=fill)
        self.y += LANE

    def events(self):
        for i, (at, text, is_harm) in enumerate(self.timeline.events):
            self.add("line", title=text, x1=f"{self.x(at):.1f}", x2=f"{self.x(at):.1f}", y1=10, y2=self.y + 4,
                     stroke="#c0392b" if is_harm else "#2f9e5a", stroke_dasharray="4 3", stroke_width=1.5)
            row = self.y + 18 + (i % 3) * 16
            self.add("text", f"{at:.1f} s {text}", x=f"{min(self.x(at), WIDTH - 230):.1f}", y=row)
        self.y += 66


def html(timeline, title, verdict, passed, rows):
    """`rows`: (heads, lines) of the table below."""
    drawing = _Drawing(timeline)
    drawing.writes()
    for name in sorted(timeline.seen):
        drawing.lane(name, timeline.seen[name])
    drawing.events()
    brokers = sorted({value for past in timeline.seen.values() for _, value in past if value is not None and not isinstance(value, bool)})
    key = "".join(f'<span><i style="background:{colour(b)}"></i>broker {b}</span>' for b in brokers)
    heads, lines = rows
    table = "<tr>" + "".join(f"<th>{markup.escape(str(h))}</th>" for h in heads) + "</tr>"
    table += "".join("<tr>" + "".join(f"<td>{markup.escape(str(c))}</td>" for c in line) + "</tr>" for line in lines)
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{markup.escape(title)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>'
            f'<h1>{markup.escape(title)}</h1><p class="verdict{"" if passed else " bad"}">{markup.escape(verdict)}</p>'
            f'<svg viewBox="0 0 {WIDTH} {drawing.y}" role="img" aria-label="what happened over time">{"".join(drawing.parts)}</svg>'
            f'<p class="key">{key}</p><table>{table}</table></body></html>\n')
