"""Logging that cannot tell a secret: of an exception its type and its place, never its words or values."""

from __future__ import annotations

import logging
import os
import sys
import threading
from types import TracebackType
from typing import Final

LOG: Final = logging.getLogger("hypertouch.door")
_OURS: Final = ("policies", "vault", "gateway", "cli")


def report(error: BaseException) -> str:
    """Log a fault of ours under a random reference, and return that."""
    reference = os.urandom(6).hex()
    LOG.error("%s: %s at %s", reference, type(error).__name__, place(error.__traceback__))
    return reference


def place(trace: TracebackType | None) -> str:
    """``module:line`` of the innermost frame of ours, or of the innermost at all, or ``?``."""
    ours, last = "", "?"
    while trace is not None:
        last = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        if last.partition(".")[0] in _OURS:
            ours = last
        trace = trace.tb_next
    return ours or last


class QuietFormatter(logging.Formatter):
    """Lines without tracebacks; what was to be formatted into a line is left out when it is an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, logger, the constant text, and an exception's type and place."""
        error = record.exc_info[1] if record.exc_info else None
        ours = record.name.startswith("hypertouch.")
        text = record.getMessage() if ours else str(record.msg).partition("\n")[0]
        what = f" ({type(error).__name__} at {place(error.__traceback__)})" if error else ""
        return f"{self.formatTime(record)} {record.levelname.lower()} {record.name}: {text}{what}"


def set_up_logging() -> None:
    """Log warnings to stderr, quietly, whoever makes them; and uncaught exceptions the same way."""
    handler = logging.StreamHandler()
    handler.setFormatter(QuietFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, _, trace: LOG.critical("%s at %s", kind.__name__, place(trace))
    threading.excepthook = lambda args: LOG.critical(
        "%s at %s", args.exc_type.__name__, place(args.exc_traceback)
    )
    sys.unraisablehook = lambda args: LOG.error("%s at %s", args.exc_type.__name__, place(args.exc_traceback))
