"""The money protocol, checked in every order of events.

Two workers, two kill -9, replies that are lost or late, requests that linger on their way, leases that end under a
living, paused sender. A breadth-first search visits every state that can be reached; the moves of an attempt are those
of `ATTEMPT_MOVES`, so that a shortcut added there is tried here.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from videogate.task.state import ATTEMPT_MOVES, MAYBE_PAID, AttemptState

KILLS, SENDS = 2, 3
S = AttemptState
Moves = Mapping[AttemptState, frozenset[AttemptState]]


class World(NamedTuple):
    """Everything that tells two situations apart."""

    line: AttemptState = S.PREPARED
    fence: int = 0  # raised by every claim
    leased: bool = False
    # What each worker is at: "", "claimed", "sending" (durable, not yet on the wire) or "waiting", under which fence.
    workers: tuple[tuple[str, int], ...] = (("", 0), ("", 0))
    on_the_way: tuple[int, ...] = ()  # requests that left, by their sender; a dead one's is -1
    replies: tuple[int, ...] = ()
    paid: int = 0
    sends: int = 0
    kills: int = 0

    def worker(self, who: int, at: str, fence: int | None = None) -> "World":
        mine = (at, self.workers[who][1] if fence is None else fence)
        return self._replace(workers=(mine, self.workers[1]) if who == 0 else (self.workers[0], mine))

    def without(self, field: str, item: int) -> "World":
        left = list(getattr(self, field))
        left.remove(item)
        changed: Any = {field: tuple(left)}
        return self._replace(**changed)


def steps(world: World, moves: Moves) -> Iterator[World]:  # noqa: C901, PLR0912 (a table of moves)
    """Every situation that may follow."""
    can = moves[world.line]
    for who, (at, fence) in enumerate(world.workers):
        mine = fence == world.fence
        if not at and not world.leased and world.line in (S.PREPARED, S.SENDING, S.UNKNOWN):
            yield world.worker(who, "claimed", world.fence + 1)._replace(fence=world.fence + 1, leased=True)
        if at == "claimed":
            idle = world.worker(who, "")._replace(leased=False)
            if not mine:
                yield world.worker(who, "")  # every write finds itself overtaken
            elif world.line is S.PREPARED and S.SENDING in can:
                yield world.worker(who, "sending")._replace(line=S.SENDING)
            elif world.line is S.SENDING:  # its sender is gone or silent
                yield from (idle._replace(line=to) for to in (S.UNKNOWN, S.PREPARED) if to in can)
            elif world.line is S.UNKNOWN:
                yield idle  # the search's
        if at == "sending" and world.sends < SENDS:
            sent = world._replace(sends=world.sends + 1)
            yield sent.worker(who, "waiting")._replace(on_the_way=(*world.on_the_way, who))
            if mine and S.NOT_SENT in can:  # refused before its first byte; the next attempt is another line
                yield world.worker(who, "")._replace(line=S.NOT_SENT, leased=False)
        if at == "waiting":
            lost = world.worker(who, "")
            yield lost._replace(line=S.UNKNOWN, leased=False) if mine and S.UNKNOWN in can else lost
            if who in world.replies:  # evidence counts whatever the fence says
                bound = world.worker(who, "").without("replies", who)
                yield bound._replace(line=S.ACCEPTED, leased=False) if S.ACCEPTED in can else bound
        if at and world.kills < KILLS:
            orphans = tuple(-1 if w == who else w for w in world.on_the_way)
            deaf = tuple(w for w in world.replies if w != who)
            yield world.worker(who, "")._replace(kills=world.kills + 1, replies=deaf, on_the_way=orphans)
    yield from searched(world, can)
    if world.leased:
        yield world._replace(leased=False)  # the lease ends, its holder may live
    for who in set(world.on_the_way):
        arrived = world.without("on_the_way", who)
        yield arrived  # lost
        paid = arrived._replace(paid=world.paid + 1)
        yield paid._replace(replies=(*paid.replies, who)) if who >= 0 else paid


def searched(world: World, can: frozenset[AttemptState]) -> Iterator[World]:
    """What a look at the vendor may bring: the job, its absence, or nothing that one can go by."""
    if world.line not in (S.UNKNOWN, S.NEEDS_REVIEW, S.NOT_CREATED):
        return
    if world.paid and S.ACCEPTED in can:
        yield world._replace(line=S.ACCEPTED)
    if S.NEEDS_REVIEW in can:
        yield world._replace(line=S.NEEDS_REVIEW)
    if not world.paid:  # "there is none" may be true only until a paused sender goes on
        yield from (world._replace(line=to, leased=False) for to in (S.NOT_CREATED, S.PREPARED) if to in can)


def walk(moves: Moves) -> Iterator[World]:
    """Every situation that can come about, once, the nearest first."""
    seen, waiting = {World()}, deque([World()])
    while waiting:
        world = waiting.popleft()
        yield world
        for follower in steps(world, moves):
            if follower not in seen and follower.fence < 8:
                seen.add(follower)
                waiting.append(follower)


def explore(moves: Moves) -> set[World]:
    """All of them."""
    return set(walk(moves))


def with_edge(source: AttemptState, target: AttemptState) -> Moves:
    return {**ATTEMPT_MOVES, source: ATTEMPT_MOVES[source] | {target}}


def test_nothing_is_paid_twice_or_lost() -> None:
    """In every order of events at most one job is paid, and each paid one is bound, in the air, or before a person."""
    worlds = explore(ATTEMPT_MOVES)

    assert max(world.paid for world in worlds) == 1
    assert {world.line for world in worlds if world.paid} == {*MAYBE_PAID, S.NEEDS_REVIEW, S.NOT_CREATED}
    assert {world.line for world in worlds} >= {S.NOT_SENT, S.NEEDS_REVIEW, S.NOT_CREATED, S.ACCEPTED}


def test_what_was_paid_can_still_be_found() -> None:
    """Wherever the search has left a paid job, the next look may bind it, also after "there is none"."""
    settled = {S.UNKNOWN, S.NEEDS_REVIEW, S.NOT_CREATED}
    paid = [world for world in explore(ATTEMPT_MOVES) if world.paid and world.line in settled]

    assert {world.line for world in paid} == settled
    assert all(S.ACCEPTED in {after.line for after in steps(world, ATTEMPT_MOVES)} for world in paid)


@pytest.mark.parametrize("source", [S.SENDING, S.UNKNOWN, S.NEEDS_REVIEW, S.NOT_CREATED])
def test_a_resend_would_pay_twice(source: AttemptState) -> None:
    """The same search finds a double payment as soon as an attempt that may have left can be sent again."""
    assert any(world.paid > 1 for world in walk(with_edge(source, S.PREPARED)))


def test_what_was_sent_has_no_way_back() -> None:
    """No path of moves leads from a line that may have been paid for to one that is sent."""
    reached = set(MAYBE_PAID)
    for _ in AttemptState:
        reached |= {target for source in reached for target in ATTEMPT_MOVES[source]}

    assert reached >= {S.NEEDS_REVIEW, S.NOT_CREATED, S.WRITTEN_OFF}
    assert S.PREPARED not in reached
    assert not any(S.SENDING in ATTEMPT_MOVES[line] for line in reached)
