"""One round at the prompt: a line that changes what would be given, in the words of the command's options."""

from __future__ import annotations

import shlex
from typing import Final

import click

from cli.ask import ask, say
from cli.choice import Choice, parse_choice, words
from cli.draft import kinds_of
from cli.errors import CliError, UsageError
from cli.render import table
from cli.text import escape
from policies.request import Ask

PROMPT: Final = "Change what? (such as: detail day for 30d; ? lists all, reset begins anew)"
INSTEAD: Final = "what to change as options"
ASKING: Final = {  # what is asked where a word comes without its value
    "kinds": "Which kinds?",
    "device": "Of which device?",
    "channel": "Of which channel?",
    "detail": "How exactly? (raw, hour, day, h3-7, h3-5; or energy=day)",
    "for": "For how long? (such as 30d)",
    "history": "How much history? (none, 7d, all)",
    "times": "How often may they read it?",
    "budget": "How many answers a day?",
    "round": "To which steps? (such as temperature=0.5)",
    "every": "One reading in how long? (such as 15m)",
    "hours": "Which hours of the day? (such as 07-22)",
    "fewest": "Of how many readings at least?",
    "drop": "Without which fields? (such as accuracy)",
}


def change(choice: Choice, asks: tuple[Ask, ...]) -> Choice:
    """The choice after one line; an empty one, or one that makes no sense, leaves it as it is.

    Raises:
        UsageError: there is no terminal.
        CancelledError: the input ended.
    """
    line = ask(PROMPT, instead=INSTEAD)
    while line == "?":
        say(help_text())
        line = ask(PROMPT, instead=INSTEAD)
    if line.lower() == "reset":
        return Choice()
    try:
        options = _options(shlex.split(line), asks)
        return choice.and_then(parse_choice(options)) if options else choice
    except CliError as error:
        say(f"{escape(error.what)}; {escape(error.hint)}" if error.hint else escape(error.what))
    except click.UsageError as error:
        say(escape(error.format_message()))
    except ValueError:
        say("a quotation mark is missing")
    return choice


def help_text() -> str:
    """Every word there is."""
    rows = [(f"{word} {option.metavar or ''}".strip(), option.help) for word, option in words().items()]
    return table(["WORD", "WHAT IT DOES"], rows)


def _options(typed: list[str], asks: tuple[Ask, ...]) -> list[str]:
    """``detail day`` as ``--detail day``; a word that lacks its value is asked for it."""
    known = words()
    left = list(typed)
    options: list[str] = []
    while left:
        name = left.pop(0).lower().lstrip("-")
        if name not in known:
            raise UsageError(f"there is no {name!r} to change", f"choose from: {', '.join(known)}")
        options.append(f"--{name}")
        if known[name].is_flag:
            continue
        if left and left[0].lower().lstrip("-") not in known:
            options.append(left.pop(0))
        else:
            question = ASKING.get(name, f"{name}?")
            if name == "kinds":
                question = f"{question} ({', '.join(kinds_of(asks))})"
            given = ask(question, instead=INSTEAD)
            if not given:
                return []
            options.append(given)
    return options
