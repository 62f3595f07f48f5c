"""What a terminal shows in place: it fits every width, ends at its total, and needs neither colours nor signs."""

import io

import pyte
import pytest
from rich.console import Console

from bucket_loader.model.waits import Wait
from bucket_loader.reporting import events
from bucket_loader.reporting.text import TextListener

MOVING = events.DeliveryProgress("r", "companies", 5_000, 1_200, 34, 50, 7, 240.0)
ENDED = events.StreamDelivered("r", "companies", 5_000, 4_966, 34, 21.0)
LEFT = events.StreamDelivered("r", "companies", 5_000, 4_900, 34, 21.0)
WAIT = Wait(
    "unreachable", "front.bucket.co cannot be reached: its name is not known", "Is the host up?", 6, 41.0, 12.0, 1_700.0
)


class File(io.TextIOWrapper):
    """What a terminal of some encoding gets."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    @property
    def text(self):
        """All that was written."""
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


def screen(width, *told, encoding="utf-8", **options):
    """Tell something on a terminal, and return its lines as they are then, and all that was written."""
    file = File(encoding)
    console = Console(file=file, force_terminal=True, force_interactive=True, width=width, height=30, **options)
    listener = TextListener(console)
    listener.tell(events.DeliveryBegan("r", {"companies": 5_000, "usage of features by company": 120}))
    for event in told:
        listener.tell(event)
    listener._moving._display._live.refresh()
    written = file.text
    shown = pyte.Screen(width, 30)
    pyte.Stream(shown).feed(written.replace("\r\n", "\n").replace("\n", "\r\n"))
    listener.tell(events.DeliveryEnded("r"))
    return [line.rstrip() for line in shown.display if line.strip()], written


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_moving_stream_says_how_far_how_fast_how_long_and_what_went_wrong(width):
    """In one line where there is room, else in several; no word is cut."""
    lines, _ = screen(width, MOVING)

    said = " ".join(" ".join(lines).split())
    assert len(lines) == (1 if width >= 80 else 3)
    assert "companies" in said
    assert "1,234/5,000" in said
    assert "240/s, 16 s left, 34 rejected, 7 retries" in said


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_stream_that_is_done_leaves_a_line_with_its_total_a_sign_and_its_time(width):
    """It moves no more, and the next one has a line of its own."""
    lines, _ = screen(width, MOVING, ENDED)

    said = " ".join(" ".join(lines).split())
    assert said.startswith("✓ companies")
    assert said.endswith("5,000/5,000 in 21 s, 34 rejected")
    assert "─" not in said
    assert "retries" not in said


def test_a_stream_with_records_left_is_not_called_done():
    """It has another sign, and says how many are pending."""
    lines, _ = screen(100, LEFT)

    assert lines[0].startswith("! companies")
    assert lines[0].endswith("4,934/5,000  in 21 s, 34 rejected, 66 pending")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_what_is_waited_for_stands_under_the_bar_whole(width):
    """Broken between words alone; the bar says that it waits, and shows no rate."""
    lines, _ = screen(width, MOVING, events.Waits(WAIT, "r", "companies"))

    said = " ".join(" ".join(line.strip() for line in lines).split())
    assert "waiting, 34 rejected, 7 retries" in said
    assert "! waiting for 41 s: front.bucket.co cannot be reached: its name is not known. Try 7 in 12 s." in said
    assert "with exit code 75. Is the host up? Ctrl-C ends it now; nothing is lost." in said


def test_a_wait_that_is_over_leaves_nothing():
    """The bar goes on as before."""
    lines, _ = screen(80, MOVING, events.Waits(WAIT, "r", "companies"), events.WaitEnded())

    assert len(lines) == 1
    assert "240/s" in lines[0]


def test_a_terminal_that_knows_ascii_alone_gets_no_other_sign():
    """Nothing that it cannot show is written to it."""
    lines, written = screen(100, MOVING, ENDED, encoding="ascii")

    assert written.isascii()
    assert lines[0].startswith("+ companies  ")
    assert "########" in lines[0]


def test_without_colours_the_bar_still_tells_what_is_done():
    """With NO_COLOR, which rich reads, and for eyes that see no colours."""
    lines, written = screen(100, MOVING, no_color=True)

    assert "\x1b[3" not in written
    assert "━" in lines[0]
    assert "─" in lines[0]


def test_a_dumb_terminal_gets_lines():
    """It goes back to no line, so nothing is drawn in place."""
    file = File("utf-8")
    listener = TextListener(Console(file=file, force_terminal=True, force_interactive=False, width=80, height=30))
    for event in (events.DeliveryBegan("r"), MOVING, ENDED):
        listener.tell(event)

    assert file.text.splitlines() == [
        "delivering companies: 1,234 of 5,000 records, 240/s, 16 s left, 34 rejected, 7",
        "  retries",
        "delivered companies: 4,966 of 5,000 records in 21 s, 34 rejected",
    ]
