"""What goes wrong in a foreseeable way: one sentence for a person, and the exit code of the command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What `orch` and `orch-worker` end with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    """Wrong usage, or a study that cannot be planned."""
    SIGN_IN = 3
    UNREACHABLE = 4
    """The home is not there, or not one that this version can use."""
    TRY_LATER = 75
    """BSD's EX_TEMPFAIL: nothing is wrong, there is only nothing to do right now."""


class OrchError(Exception):
    """A foreseeable failure; its text is one sentence that says what was found and what to do."""

    exit_code = ExitCode.FAILED


class StudyError(OrchError):
    """The study file is wrong, or asks for what there is not."""

    exit_code = ExitCode.USAGE


class UsageError(OrchError):
    """The command was given something that it cannot use."""

    exit_code = ExitCode.USAGE


class HomeError(OrchError):
    """The home cannot be reached or used."""

    exit_code = ExitCode.UNREACHABLE


class HomeClosed(HomeError):
    """The home lets nobody in until a person does something: signs in, shares it again, restores it, makes room."""


class SignInNeeded(HomeClosed):
    """Nobody is signed in to the service, or not any more; or the keys to it are missing, or not taken."""

    exit_code = ExitCode.SIGN_IN


class StoreError(OrchError):
    """An artifact could not be written, read or believed: the store's trouble, which will pass or be mended."""


class DiskError(OrchError):
    """A file of this machine cannot be read or written: its own trouble, which another machine may not have."""
