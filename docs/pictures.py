"""Draws the pictures of `how-it-works.md`: run `python docs/pictures.py` after a change; a test compares them.

Each is a card with a background of its own, so that it can be read on light pages and on dark ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent

PAPER, INK, FAINT, EDGE = "#fbfaf7", "#23262b", "#5d6570", "#c9ccd2"
REDIS, SQL, CLIENT = "#fbe3dc", "#dce8f6", "#e8ecdf"
REDIS_EDGE, SQL_EDGE, CLIENT_EDGE = "#b8533a", "#33659c", "#66753f"

FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"
LINE_HEIGHT = 17


@dataclass(frozen=True)
class Box:
    """A box with a title and some lines below it."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...] = ()
    fill: str = REDIS
    edge: str = REDIS_EDGE

    def svg(self) -> Iterable[str]:
        """Its elements."""
        yield (
            f"<rect x='{self.x}' y='{self.y}' width='{self.width}' height='{self.height}' rx='8'"
            f" fill='{self.fill}' stroke='{self.edge}' stroke-width='1.5'/>"
        )
        middle = self.x + self.width // 2
        top = self.y + (self.height - LINE_HEIGHT * len(self.lines)) // 2 + 5
        yield words(middle, top, self.title, weight="bold")
        for number, line in enumerate(self.lines, 1):
            yield words(middle, top + LINE_HEIGHT * number, line, size=12, fill=FAINT)


def words(
    x: int, y: int, text: str, *, size: int = 14, fill: str = INK, weight: str = "normal", at: str = "middle"
) -> str:
    """A line of text, its baseline at y."""
    return (
        f"<text x='{x}' y='{y}' {FONT} font-size='{size}' fill='{fill}' font-weight='{weight}'"
        f" text-anchor='{at}'>{escape(text)}</text>"
    )


def arrow(points: str, text: str = "", at: tuple[int, int] = (0, 0), *, dashed: bool = False) -> Iterable[str]:
    """A line through `points`, "x,y x,y …", with a head at its end and a text whose middle is `at`."""
    dashes = " stroke-dasharray='5 4'" if dashed else ""
    yield f"<polyline points='{points}' fill='none' stroke='{INK}' stroke-width='1.6'{dashes} marker-end='url(#head)'/>"
    if text:
        yield words(*at, text, size=12)


def frame(x: int, y: int, width: int, height: int, title: str, edge: str) -> Iterable[str]:
    """A dashed frame with its title in the corner."""
    yield (
        f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='12' fill='none' stroke='{edge}'"
        f" stroke-width='1.5' stroke-dasharray='3 4'/>"
    )
    yield words(x + 14, y + 22, title, fill=edge, weight="bold", at="start")


def card(width: int, height: int, title: str, *parts: Iterable[str]) -> str:
    """A whole picture; `title` is for those who cannot see it."""
    label = escape(title)
    head = "<path d='M0,0 L10,5 L0,10 z' fill='" + INK + "'/>"
    size = f"width='{width}' height='{height}'"
    opening = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' {size} role='img'>",
        f"<title>{label}</title>",
        "<defs><marker id='head' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' orient='auto'>",
        f"{head}</marker></defs>",
        f"<rect x='0.5' y='0.5' width='{width - 1}' height='{height - 1}' rx='10' fill='{PAPER}' stroke='{EDGE}'/>",
    )
    return "\n".join([*opening, *(element for part in parts for element in part), "</svg>", ""])


def way() -> str:
    """The way of a like from a client to a total."""
    return card(
        820,
        300,
        "A like is added to the pending deltas in Redis; a hand-off seals them as a batch in flight; the batch is "
        "applied to totals, cursor and ledger in one transaction; an acknowledgement drops it from Redis.",
        Box(20, 95, 120, 90, "like()", ("likes post", "a web request"), CLIENT, CLIENT_EDGE).svg(),
        frame(200, 30, 330, 215, "Redis", REDIS_EDGE),
        Box(220, 95, 110, 90, "pending", ("a delta an item",)).svg(),
        Box(405, 95, 110, 90, "in flight", ("sealed batches",)).svg(),
        frame(620, 30, 180, 215, "SQL", SQL_EDGE),
        Box(
            640,
            65,
            140,
            160,
            "one transaction",
            ("", "cursor moves on", "totals grow", "a row in the ledger"),
            SQL,
            SQL_EDGE,
        ).svg(),
        arrow("140,140 218,140", "add", (180, 130)),
        arrow("330,140 403,140", "hand-off", (367, 130)),
        arrow("515,140 638,140", "apply", (576, 130)),
        arrow("710,225 710,268 460,268 460,187", "acknowledge", (585, 284)),
        [words(367, 80, "one script: GETDEL, seal", size=12, fill=FAINT)],
    )


def states() -> str:
    """The states of a shard's likes, and where a death leaves them."""
    rows = (
        ("before the hand-off", "pending deltas", "hands them off"),
        ("after the hand-off", "a batch in flight, the next of its chain", "applies it"),
        ("after the commit", "a batch in flight that the ledger has", "acknowledges it"),
        ("after the acknowledgement", "nothing", "nothing"),
    )
    table = [
        words(30 + offset, 160, text, size=12, fill=FAINT, at="start")
        for offset, text in ((0, "a worker dies …"), (235, "the next flush finds …"), (575, "and …"))
    ]
    for number, row in enumerate(rows):
        y = 188 + 26 * number
        table.append(f"<line x1='30' x2='790' y1='{y - 19}' y2='{y - 19}' stroke='{EDGE}'/>")
        table += [
            words(30 + offset, y, text, size=13, at="start") for offset, text in zip((0, 235, 575), row, strict=True)
        ]
    return card(
        820,
        290,
        "The states: pending, in flight, applied and still in flight, gone from Redis; each arrow is one atomic step. "
        "Wherever a worker dies, the next flush goes on from the state it finds.",
        Box(30, 35, 120, 70, "pending", ("in Redis",)).svg(),
        Box(245, 35, 120, 70, "in flight", ("in Redis",)).svg(),
        Box(460, 35, 150, 70, "applied", ("in SQL, in flight still",), SQL, SQL_EDGE).svg(),
        Box(710, 35, 80, 70, "done", ("in SQL",), SQL, SQL_EDGE).svg(),
        arrow("150,70 243,70", "hand-off", (197, 60)),
        arrow("365,70 458,70", "apply", (412, 60)),
        arrow("610,70 708,70", "acknowledge", (660, 60)),
        [
            words(x, 90, what, size=11, fill=FAINT)
            for x, what in ((197, "a script"), (412, "a transaction"), (660, "a script"))
        ],
        table,
    )


def chain() -> str:
    """The chain of batches and the cursor."""
    boxes: list[Iterable[str]] = []
    batches = (("9c1e", "71f0", "applied"), ("b02d", "9c1e", "the next"), ("4e77", "b02d", "then this"))
    for number, (nonce, before, note) in enumerate(batches):
        colours = (REDIS, REDIS_EDGE) if number else (SQL, SQL_EDGE)
        lines = (f"nonce {nonce}", f"before it {before}", note)
        boxes.append(Box(40 + 260 * number, 40, 190, 92, f"batch {41 + number}", lines, *colours).svg())
    return card(
        820,
        250,
        "Each batch names the nonce of the batch before it. The cursor in SQL stands at batch 41, nonce 9c1e; only "
        "batch 42, which names 9c1e, may be applied, and the cursor moves in the transaction that adds to the totals.",
        *boxes,
        arrow("300,86 232,86", "names", (266, 76)),
        arrow("560,86 492,86", "names", (526, 76)),
        Box(40, 175, 190, 50, "cursor: 41, 9c1e", (), SQL, SQL_EDGE).svg(),
        arrow("135,175 135,134"),
        arrow("230,200 395,200 395,134", dashed=True),
        [
            words(410, 190, "moves on in the transaction that adds to the totals,", size=12, at="start"),
            words(410, 207, "only from 41, 9c1e, only to a batch that names 9c1e", size=12, at="start"),
        ],
    )


def epochs() -> str:
    """What happens when Redis went back."""
    return card(
        820,
        250,
        "Every key of a shard carries its epoch. When Redis has gone back, its epoch is retired in SQL for ever and "
        "Redis points at a fresh one; what is left under the old one becomes dead letters.",
        Box(40, 85, 120, 60, "pointer").svg(),
        Box(290, 30, 210, 70, "epoch 3fa2…", ("what Redis remembers", "from before it went back")).svg(),
        Box(290, 150, 210, 70, "epoch d81c…", ("likes from now on",)).svg(),
        Box(620, 30, 170, 70, "dead letters", ("for somebody to decide",), SQL, SQL_EDGE).svg(),
        Box(620, 150, 170, 70, "totals", ("counted as always",), SQL, SQL_EDGE).svg(),
        arrow("160,105 225,105 225,65 288,65", "before", (200, 60), dashed=True),
        arrow("160,125 225,125 225,185 288,185", "now", (205, 180)),
        arrow("500,65 618,65", "retired: set aside", (559, 55)),
        arrow("500,185 618,185", "applied", (559, 175)),
    )


PICTURES = {"way": way, "states": states, "chain": chain, "epochs": epochs}


def main() -> None:
    """Write all of them."""
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw())


if __name__ == "__main__":
    main()
