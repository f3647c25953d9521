"""Standard input, output and error as a command finds them: of any encoding, closed, full, or read by nobody.

What foreign text may hold besides letters (control characters, markup) is not looked at here.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from typing import Any, BinaryIO, TextIO, cast

from orchestrator.errors import OrchError

_IN_ASCII = {
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}
"""What Orch itself prints beyond ASCII, in the letters that every encoding has."""

_ERRORS = "orch"
"""What the way to spell characters that an encoding lacks is called in Python's registry."""


class OutputLost(OrchError, OSError):
    """What a command had to say could not be written."""


def prepare() -> None:
    """Make standard output one that can be printed to; called once, before anything is printed.

    A closed stream becomes one that swallows everything: a file that is opened later would otherwise get its number,
    and what a library prints would be written into it.  Letters that the encoding lacks are spelled in those that it
    has, or as Python escapes.  A write that fails raises OutputLost, or BrokenPipeError where the reader has gone.
    """
    for descriptor in (0, 1, 2):
        _occupy(descriptor)
    codecs.register_error(_ERRORS, _spelled_out)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _that_tells_of_losses(sys.stdout, 1)
    sys.stderr = _that_tells_of_losses(sys.stderr, 2)


def reader_is_gone() -> bool:
    """Whether standard output is a pipe, or a terminal, whose other end was closed."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


class _Output(io.FileIO):
    """A file descriptor whose first failure names itself, and that swallows everything from then on.

    Python writes what is left in its buffers once more as it ends, and would end with a traceback and another code.
    """

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self._swallow()
            if isinstance(error, BrokenPipeError):
                raise
            name = "Standard output" if self.fileno() == 1 else "Standard error"
            raise OutputLost(f"{name} cannot be written: {error.strerror}; what was to be told is lost.") from error

    def _swallow(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def _that_tells_of_losses(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is not None and not _is_of(stream, descriptor):
        return stream  # a notebook, or whoever else calls Orch inside a process of their own, has put it there
    encoding = getattr(stream, "encoding", None) or "utf-8"
    errors = getattr(stream, "errors", None) or "strict"
    output = _Output(descriptor, "w", closefd=False)
    unbuffered = getattr(stream, "write_through", False)
    return io.TextIOWrapper(
        cast(BinaryIO, output) if unbuffered else io.BufferedWriter(output),
        encoding=encoding,
        # What the person has chosen in PYTHONIOENCODING stays.
        errors=_ERRORS if errors in ("strict", "surrogateescape", "backslashreplace") else errors,
        line_buffering=getattr(stream, "line_buffering", True),
        write_through=unbuffered,
    )


def _is_of(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError):
        return False


def _occupy(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: those below it are taken
        assert opened == descriptor, "descriptors are occupied from the lowest on"
        os.set_inheritable(descriptor, True)


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError), "the ways to spell are for writing"
    characters = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(character) or _escaped(character) for character in characters), error.end


def _escaped(character: str) -> str:
    """`\\xfc`, as Python writes it; a byte of a file's name that was no character is that byte."""
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode()
