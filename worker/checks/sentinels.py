"""Sentinels: whether they are enough, answer and agree, and whether a failover could be had and would find anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from likes.buffer.watching import Address, Watcher, look_at
from likes.config.nodes_url import written
from likes.config.sentinel_url import SentinelUrl, is_sentinel_url, read_sentinel_url
from likes.config.urls import mask
from likes.connect import Places
from worker.checks.finding import Finding, Level
from worker.checks.nodes import cli_of

NAME = "sentinels"
ENOUGH = 3  # of fewer, none may be away: it takes more than half of them to decide anything


def check_sentinels(places: Places) -> Iterator[Finding]:
    """What is found of those that the URL names; nothing for a URL of another kind."""
    url = places.redis_url()
    if not is_sentinel_url(url):
        return
    sentinel = read_sentinel_url(url)
    with places.open_sentinels() as links:
        watchers = look_at(links, sentinel.service)
    votes = Counter(each.master for each in watchers if each.master)
    master, count = next(iter(votes.most_common(1)), (None, 0))
    needed = len(watchers) // 2 + 1
    if master and count >= needed:
        yield Finding(Level.OK, NAME, f"{count} of {len(watchers)} name Redis at {written(master)}")
        agree = [each for each in watchers if each.master == master]
        yield from _disagreeing(watchers, master, sentinel.service, max(each.quorum for each in agree))
        yield from _failover(agree, master, sentinel.service)
        yield from _number(agree, sentinel)
    elif votes:
        said = "; ".join(f"{each.where} {_told(each)}" for each in watchers)
        fix = "start those that do not answer"
        if len(votes) > 1:
            fix = "see which one is right, and let the others watch it (SENTINEL REMOVE, SENTINEL MONITOR)"
        yield Finding(Level.ERROR, NAME, f"no {needed} of {len(watchers)} name one master: {said}", fix)
    yield from _silent(watchers, sentinel)


def _told(watcher: Watcher) -> str:
    if watcher.error:
        return "does not say"
    return f"names {written(watcher.master)}" if watcher.master else "watches no such master"


def _silent(watchers: Sequence[Watcher], sentinel: SentinelUrl) -> Iterator[Finding]:
    for each in watchers:
        said = str(each.error or "")
        if not said:
            continue
        fix = "start it, or take it out of LIKES_REDIS_URL"
        if "NOPERM" in said or "no permissions" in said:
            rights = "+sentinel|master +sentinel|sentinels +sentinel|ckquorum"
            fix = f"{cli_of(each.where)} ACL SETUSER {sentinel.user_of_sentinels} {rights}"
        elif "does not allow" in said or "password" in said:
            fix = "correct sentinel_username and sentinel_password in LIKES_REDIS_URL"
        elif "is no Sentinel" in said:
            fix = "take it out of LIKES_REDIS_URL"
        yield Finding(Level.WARNING, NAME, said, fix)


def _disagreeing(watchers: Sequence[Watcher], master: Address, service: str, quorum: int) -> Iterator[Finding]:
    for each in watchers:
        if each.error or each.master == master:
            continue
        monitor = f"{cli_of(each.where)} SENTINEL MONITOR {service} {master[0]} {master[1]} {quorum}"
        if each.master is None:
            yield Finding(Level.WARNING, NAME, f"{each.where} watches no {service}", monitor)
        else:
            found = (
                f"{each.where} names {written(each.master)}: it has no say (auth-pass and times it has to be told anew)"
            )
            yield Finding(Level.WARNING, NAME, found, f"{cli_of(each.where)} SENTINEL REMOVE {service}; {monitor}")


def _failover(agree: Sequence[Watcher], master: Address, service: str) -> Iterator[Finding]:
    """Whether those that name the master could replace it."""
    if not max(each.replicas for each in agree):
        found = f"{written(master)} has no replica: when it dies, nothing takes its place"
        yield Finding(Level.WARNING, "failover", found, f"redis-server --port 6379 --replicaof {master[0]} {master[1]}")
    unable = [each for each in agree if each.no_quorum]
    if not unable:
        return
    first = unable[0]
    there = len(first.others) + 1
    if first.quorum > there:
        fix = "; ".join(f"{cli_of(each.where)} SENTINEL SET {service} quorum {there // 2 + 1}" for each in agree)
    else:
        away = ", ".join(map(written, first.others))
        forget = f"{cli_of(first.where)} SENTINEL RESET {service}"
        fix = f"start those that are away, of {away}; or, if one is gone for good: {forget}"
    yield Finding(Level.WARNING, "failover", f"{first.where}: {first.no_quorum}", fix)


def _number(agree: Sequence[Watcher], sentinel: SentinelUrl) -> Iterator[Finding]:
    """Whether there are enough, and all of them are named: it takes more than half of those named."""
    first = max(agree, key=lambda each: len(each.others))
    there, named = len(first.others) + 1, len({*sentinel.nodes})
    if there > named:
        url = sentinel.with_nodes([first.at, *first.others])
        fix = f"export LIKES_REDIS_URL='{url}'"
        if mask(url) != url:
            fix = f"name all in LIKES_REDIS_URL: {','.join(map(written, [first.at, *first.others]))}"
        yield Finding(Level.WARNING, NAME, f"there are {there}, and LIKES_REDIS_URL names {named}", fix)
    elif named < ENOUGH:
        found = f"{named}: with one away nobody knows who is master, and nothing fails over"
        yield Finding(
            Level.WARNING, NAME, found, f"start more, until there are {ENOUGH}, and name them in LIKES_REDIS_URL"
        )
