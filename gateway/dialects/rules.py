"""The notation of dialects: what a message means, as data that one small engine runs.

A ``Rule`` says where in a payload readings stand.  Rules have three sources and one form: a dialect's file
(``<name>.toml`` beside this module, a ``Dialect``), what a device declares of itself (a ``Lesson``), and
what a person taught (``DialectSettings.taught``).

**Which rules apply.**  Those of one source are tried in their order.  The first whose ``topic``, ``format``,
``needs`` and ``when`` hold decides: it applies, and with it every other rule of *the same topic* that holds
(so write several rules with one topic where a payload has several parts).  Where none holds, the message is
not understood.  What is neither JSON nor a word is understood only where the *first* topic that fits has a
rule for any payload: no later one passes over what is broken.  Taught rules come first, then learned ones,
then the dialect's; all three may apply to one message, and what an earlier source names, a later one does
not read again.

**What is understood.**  Every member of a payload is looked at once.  It counts as understood when a rule
that applies names it: as a field, in ``ignore``, or in any path (of a time, a condition, a unit, a
template).  Else it is looked up in ``kinds`` and in the vocabulary (see ``others``); a member that only a
field's condition names, too.  What remains sends the payload to quarantine, beside the readings there were.
A member that is not there is nothing; null where a reading should be is a dropped reading.

**Patterns** of topics and of members' names are text with captures, level by level:

    {name}          one level (or the part of a level between texts), at least one character
    {name:int}      decimal digits; {name:int?} perhaps none
    {name:a|b}      one of these words
    {name...}       one or more whole levels, in topics; {name...?} perhaps none
    {{ and }}       a brace

``tele/{device...}/SENSOR``, ``shellies/{id}/relay/{n:int}/power``, ``switch:{n:int}``, ``POWER{n:int?}``,
``{field}_{side:left|right}``.  Within a level, the first capture takes as much as it can; of several
``...``, the first takes as little as it can.

**Paths** lead to a value of a JSON payload: ``a.b``, ``a[0]``, ``a[-1]``, ``"a.b".c`` (a name in JSON's
quotes; needed for the characters ``. [ ] " { } ^ $ *``).  The empty path is the item itself.  A path begins
at the *item* (see ``Rule.each``), with ``$`` at the document: ``$.params.ts``.  Two steps are to many values:

    []              every element of an array; ``{#}`` is its number, from 1
    a pattern       every member of an object whose name fits, as ``switch:{n:int}.output``

They may stand in ``Rule.each``, ``Field.path`` and ``ignore``.  Members that are named in full come first.
In ``each``, every step for many makes an item, and ``^`` begins a path at the item around: for
``each = "data.metrics[].data[]"``, ``^name`` is the metric's name, and ``^^`` the document.

**Templates** are text in which these are replaced:

    {name}          a capture of the topic or of a pattern; {topic} the whole topic
    {=path}         the text, number or boolean at that path
    {@key}          what is known under a key (see ``Field.fact``); it may hold captures: {@{topic}/$unit}

What is not there is empty; a level, between slashes, of which nothing remains is left out.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Format = Literal["json", "value", "text", "any", "blob", "unknown"]
Others = Literal["kinds", "ignore", "quarantine"]
Scalar = str | bool | int | float


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Strict in, and nothing written that says nothing."""


class Check(_Base, frozen=True):
    """A condition that is no equality; all that is given must hold.

    ``present``: whether the path leads to something.  ``least`` and ``most``: a number within these,
    inclusive.  ``other_than``: there, and none of these.
    """

    present: bool | None = None
    least: float | None = None
    most: float | None = None
    other_than: tuple[Scalar, ...] = ()


# Path, or template where it holds "{" -> the value, one of several values, or a check.
Conditions = dict[str, Scalar | tuple[Scalar, ...] | Check]


class Time(_Base, frozen=True):
    """Where an item says when.

    ``form``: ``s``, ``ms``, ``us``, ``ns`` since the epoch; ``rfc3339`` (also without a zone, and with a
    space for the T); ``auto`` tells all of these apart; or a form of strptime, made of %Y %m %d %H %I %p %M
    %S %f %z.  A time without a zone is in the device's (``DialectSettings.timezone``).
    """

    path: str
    form: str = "auto"


class Field(_Base, frozen=True):
    """One reading in an item.

    ``kind`` is a name of the vocabulary, or a template whose text is looked up in the rule's ``kinds``, then
    among the vocabulary's names and aliases.  A field without ``kind`` and ``fact`` is named and passed over.

    ``path``: where the value is; the empty path is the item itself.
    ``unit``: a template; the unit the number is in.  Left out or empty: the rule's ``units``, else the
    kind's own.  A unit that the kind does not accept is not understood.
    ``scale``, ``offset``: number * scale + offset, before the unit.
    ``drop_if``: values that say "no reading", compared before anything else; counted as dropped.
    ``enum``: the value as text (numbers and booleans as JSON writes them) -> what it means: true or false, a
    number, a text of the kind's list, an event's name.  A value that is not in it is not understood.
    ``inverse``: true here is the kind's false.
    ``channel``: a template; added to the rule's channel, after a slash.
    ``when``: the field is read only if this holds; if it does not, the member is as if the field were not
    there.  Several fields may name one path.
    ``value``: a template whose text is read instead of what stands at ``path`` (which must be there).
    ``details``: for events; paths whose values are appended as a JSON object, as ``enter {"desc":"home"}``.
    ``lat``, ``lon``, ``accuracy``: paths, for a kind that is a place; ``path`` is not used then.
    ``fact``: a template; the text at ``path`` is no reading, and is remembered for the device under this
    key (see ``{@key}``).  An empty text is forgotten.
    ``most``: with ``[]`` in ``path``, the number of elements an array may have; more is not understood.
    """

    path: str = ""
    kind: str = ""
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    drop_if: tuple[Scalar, ...] = ()
    enum: dict[str, Scalar] = {}
    inverse: bool = False
    channel: str = ""
    when: Conditions = {}
    value: str = ""
    details: tuple[str, ...] = ()
    lat: str = ""
    lon: str = ""
    accuracy: str = ""
    fact: str = ""
    most: int = 0


class Rule(_Base, frozen=True):
    """What messages of one topic mean.

    ``topic``: a pattern, or several of which the first that fits counts; left out: any topic.
    ``format``: ``json`` an object or array; ``value`` one JSON number, text or boolean, or a bare word such
    as ON; ``text`` the same, never read as JSON; ``any`` not looked into (for ``ignore = ["*"]``);
    ``blob`` sealed whole, as a picture is; ``unknown`` not understood, whatever it is (where a later rule's
    pattern would fit what is none of its messages).
    ``member``: a template; a ``value`` or ``text`` is read as an object with this one member.  With
    ``topic = "cars/{car}/{name}"`` and ``member = "{name}"``, the fields are a table by topic.
    ``needs``: paths that must lead to something.
    ``when``: what must hold.
    ``each``: a path; the rule is about every item it leads to, and all other paths begin there.  Without a
    step for many it is one inner object.  Left out: the item is the document.  An item for which no rule
    with the same path holds is not understood.
    ``time``: when the item was measured, the first of these that can be read; none of them there: at its
    arrival.
    ``channel``: a template; which part of the device this is.  At most 255 bytes.
    ``sensor``: a template, or several; ids of a sensor that may be somebody else's.  It is the person's own
    if one of them is in ``DialectSettings.own``.
    ``session``, ``number``: paths of a run's id and of the message's number in it, to count gaps.
    ``kinds``: name -> kind, of what a name means here and not in general.
    ``units``: kind -> template; the unit of a kind's numbers where a field has none of its own.
    ``ignore``: paths of settings and internals, which are no readings; with all that is in them, except
    what a field names.  ``*``: all.
    ``others``: members that nothing names: ``kinds`` are readings where ``kinds`` or the vocabulary has the
    name, ``ignore`` passes over, ``quarantine`` is not understood.  Taught and learned rules leave them to
    the dialect, if its own rules are about the message.
    """

    topic: str | tuple[str, ...] = ""
    format: Format = "json"
    member: str = ""
    needs: tuple[str, ...] = ()
    when: Conditions = {}
    each: str = ""
    time: Time | tuple[Time, ...] = ()
    channel: str = ""
    sensor: str | tuple[str, ...] = ()
    session: str = ""
    number: str = ""
    kinds: dict[str, str] = {}
    units: dict[str, str] = {}
    fields: tuple[Field, ...] = msgspec.field(name="field", default=())
    ignore: tuple[str, ...] = ()
    others: Others = "kinds"


class Dialect(_Base, frozen=True):
    """A file: how a dialect is recognised, and its rules.

    ``topics``: patterns that give the dialect away by themselves; of several dialects' patterns, the one
    that is literal further to the left wins.
    ``keys``: paths; a JSON object with something at all of them gives it away on any other topic.  Of paths
    in a list within the list, one is enough.
    ``arrays``: an array, in JSON or CBOR, does so.
    ``code``: patterns of topics for which the module of the same name ("-" as "_") is asked before the
    rules: ``read(topic, payload, arrival, notebook) -> Reading | None``, None: the rules read it.
    ``resends``: the same readings come again, and count once.
    ``ignore``, ``kinds``, ``units``: added to those of every rule; a rule's own come first.
    """

    name: str
    title: str
    about: str
    topics: tuple[str, ...] = ()
    keys: tuple[str | tuple[str, ...], ...] = ()
    arrays: bool = False
    code: tuple[str, ...] = ()
    resends: bool = False
    ignore: tuple[str, ...] = ()
    kinds: dict[str, str] = {}
    units: dict[str, str] = {}
    rules: tuple[Rule, ...] = msgspec.field(name="rule", default=())


def literal(text: str) -> str:
    """The pattern or template that fits exactly this text."""
    return text.replace("{", "{{").replace("}", "}}")
