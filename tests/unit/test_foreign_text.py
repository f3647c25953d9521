"""Text of somebody else's shows, and does nothing else."""

from __future__ import annotations

from orchestrator.foreign_text import printable, single_line


def test_it_loses_colour_codes_and_control_characters_but_not_its_words() -> None:
    assert single_line("\x1b[31mTesla\x00 T4\x1b[0m\r\n16 GB") == "Tesla T4 16 GB"
    assert printable("one\n\x07  two") == "one\n  two"


def test_no_escape_is_left_that_a_terminal_would_act_on() -> None:
    assert "\x1b" not in printable("\x1b]0;title\x07\x1bc\x9b2J\x1b[?25l done")


def test_what_turns_the_direction_of_writing_is_gone() -> None:
    assert single_line("safe\u202e gnp.exe\u2066") == "safe gnp.exe"
