"""Answers instead of data: figures that the door makes of what a grant gives, and that alone leave it."""

from __future__ import annotations

import asyncio
from typing import Final

from litestar import post

from gateway.answers import Answer as Figure
from gateway.answers import Figures
from gateway.door import access
from gateway.door.context import Door, Held
from gateway.door.data import incomplete_days
from gateway.door.errors import bad_query, insufficient_scope
from gateway.door.forms import ANSWERS_BODY, parse_bearer, parse_question
from gateway.door.http import Answer, HttpRequest, TheDoor, answer_json, source
from gateway.questions import Question, is_finer, misfit, periods
from gateway.wire import Counted
from policies.decide import Permit, Read
from policies.grant import Active
from policies.iso8601 import DAY, format_time
from policies.kinds import Kind, catalogue
from policies.terms import Terms
from vault.store.release import page

BATCH: Final = 10_000  # readings that are looked at before others get their turn
MOST_READINGS: Final = 1_000_000  # of one answer
MOST_PAGES: Final = MOST_READINGS // BATCH  # of one answer, also where limits leave most of them empty


@post("/answers", status_code=200, request_max_body_size=ANSWERS_BODY)
async def answers(request: HttpRequest, door: TheDoor) -> Answer:
    """One figure for each whole day, week or month that the grant gives."""
    token = parse_bearer(request.scope["headers"])
    question = parse_question(request.scope["headers"], request.scope["query_string"], await request.body())
    held = access.authenticate(door, token, source(request))
    now = door.now()
    whole = access.permit(door, held, Read((question.kind,), question.since, question.until, answers=True))
    kind = _kind(question, whole)
    spans = periods(question.period, whole.data_from, whole.data_until, now // 1000)
    if spans is None:
        raise bad_query("These are too many periods for one answer: ask for a shorter time.")
    since, until = (spans[0][0], spans[-1][1]) if spans else (whole.data_from, whole.data_from)
    read = Read((question.kind,), since, until, answers=True)
    allowed = access.permit(door, held, read)
    await access.catch_up(door, held)
    counted = await access.count_answer(door, held)
    terms = _terms(held)
    if terms.uses is not None:
        access.permit(door, held, read, used=await access.count_use(door, held) - 1)
    incomplete = incomplete_days(door, held, allowed)
    figures = Figures(question, kind, spans)
    looked_at = await _gather(door, held, allowed, figures)
    found = await asyncio.to_thread(figures.answers, now, frozenset(incomplete))
    await access.account(door, held, read, allowed, looked_at, "answers")
    return answer_json({"answers": [_plain(one) for one in found], "budget": _budget(counted, now)})


async def _gather(door: Door, held: Held, allowed: Permit, figures: Figures) -> int:
    """Let the figures have all that there is now; how many readings and buckets that was."""
    after, looked_at, upto = 0, 0, door.reader.last_seq(held.vault)
    with access.opened(door, held) as keys:
        for _ in range(MOST_PAGES):
            found = page(door.reader, allowed, keys, after, BATCH, upto)
            figures.add(found.readings)
            looked_at += len(found.readings)
            if figures.overfull:
                break
            if not found.more:
                return looked_at
            after = found.last_seq
            await asyncio.sleep(0)
    raise bad_query("These are too many readings for one answer: ask for a shorter time.")


def _kind(question: Question, allowed: Permit) -> Kind:
    """The kind that is asked for; raises ProblemError where it has no such figure."""
    kind = catalogue().kind(question.kind)  # a permit is of kinds that there are
    reason = misfit(question, kind)
    if reason is not None:
        raise bad_query(reason)
    if is_finer(question, {one.resolution or "" for one in allowed.selectors}):
        raise insufficient_scope()
    return kind


def _terms(held: Held) -> Terms:
    state = held.row.state
    if not isinstance(state, Active):
        raise TypeError("there is a permit, so the grant is in force")
    return state.terms


def _budget(counted: Counted, now: int) -> dict[str, object]:
    """How many answers there are in a day, and how many are left; null: as many as the brand likes."""
    limit = None if counted.left is None else counted.number + counted.left
    resets_at = format_time((now // 1000 // DAY + 1) * DAY)
    return {"limit": limit, "left": counted.left, "resets_at": resets_at}


def _plain(one: Figure) -> dict[str, object]:
    return {
        "from": format_time(one.since),
        "until": format_time(one.until),
        "value": one.value,
        "unit": one.unit,
        "readings": one.readings,
        "complete": one.complete,
    }
