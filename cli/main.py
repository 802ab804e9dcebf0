"""The entry point: one place that turns whatever happened into words on stderr and an exit status.

Nothing is imported here before it is known to be needed, so ``--version`` and shell scripts stay fast.
"""

from __future__ import annotations

import io
import os
import sys

from cli import __version__
from cli.errors import CliError, ExitCode

PROGRAM = "hypertouch"
OURS = ("policies", "vault", "gateway", "cli")


def entry() -> None:
    """What the installed script calls. Files made by any command are the owner's alone."""
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an old terminal shows ? where it lacks a letter
            stream.reconfigure(errors="replace")
    sys.exit(main(sys.argv[1:]))


def main(argv: list[str]) -> int:
    """Run one command line and return its exit status; never raises, never prints a traceback by itself."""
    if argv == ["--version"]:
        print(f"{PROGRAM} {__version__}")
        return ExitCode.OK
    try:
        status = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:  # `hypertouch data export | head`: the reader has seen enough
        _silence_stdout()
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return _report(argv, "cancelled", "", ExitCode.CANCELLED)
    except CliError as error:
        return _report(argv, error.what, error.hint, error.exit)
    except Exception as error:
        return _failed(argv, error)
    return status


def _run(argv: list[str]) -> int:
    """Hand the command line to click; what click raises becomes ours, or an exit status."""
    import click

    from cli.commands import hypertouch
    from cli.errors import CancelledError, UsageError

    try:
        result = hypertouch.main(args=argv, prog_name=PROGRAM, standalone_mode=False)
    except click.Abort:
        raise CancelledError("cancelled") from None
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        raise UsageError(_plain(error.format_message()), f"see: {path} --help") from None
    except click.FileError as error:
        raise UsageError(_plain(error.format_message()), "check the path") from None
    except click.ClickException as error:
        raise CliError(_plain(error.format_message())) from None
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else ExitCode.FAILED if stop.code else ExitCode.OK
    # A command returns None or an ExitCode; click passes the code of ctx.exit(code) the same way.
    return int(result) if isinstance(result, int) else ExitCode.OK


def _plain(message: str) -> str:
    """Click's sentences in our manner: one line, no capital, no full stop, so that a hint can follow."""
    message = " ".join(message.split())
    return message[:1].lower() + message[1:].removesuffix(".")


def _report(argv: list[str], what: str, hint: str, code: ExitCode) -> int:
    """Say what happened on stderr, as JSON where the command was asked for JSON."""
    from cli.text import escape, json_text

    if _wants_json(argv):
        line = json_text({"error": what, "hint": hint, "exit": int(code)})
    else:
        line = escape(f"{PROGRAM}: {what}; {hint}" if hint else f"{PROGRAM}: {what}")
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # nobody listens any more; the status still tells
        return code
    return code


def _wants_json(argv: list[str]) -> bool:
    """Whether ``--json`` was given, told without parsing, for what went wrong may be the parsing."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in options


def _failed(argv: list[str], error: Exception) -> int:
    """A failure we have words for, or else a fault of ours.

    Of a fault only kind and place are named, for its text may hold what nobody should see.
    """
    try:
        from cli.translate import translated

        known = translated(error)
    except ImportError:  # a broken installation: the fault that showed it is still the one to tell
        known = None
    if known is not None:
        return _report(argv, known.what, known.hint, known.exit)
    if os.environ.get("HYPERTOUCH_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    what = f"unexpected {type(error).__name__} at {_place(error)}"
    hint = "this is a fault in hypertouch: please report this line (HYPERTOUCH_DEBUG=1 shows the whole trace)"
    return _report(argv, what, hint, ExitCode.FAILED)


def _place(error: Exception) -> str:
    """``package/module.py:line`` of the innermost frame of ours, or ``?``."""
    place = "?"
    frame = error.__traceback__
    while frame is not None:
        module = str(frame.tb_frame.f_globals.get("__name__", ""))
        if module.split(".")[0] in OURS:
            place = f"{module.replace('.', '/')}.py:{frame.tb_lineno}"
        frame = frame.tb_next
    return place


def _silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush stays quiet too."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # stdout is no file, as in a test: there is nothing to flush
        return


if __name__ == "__main__":
    entry()
