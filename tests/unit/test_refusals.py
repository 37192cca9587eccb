"""What an error of Redis means for a call: done, certainly not done, or not to be done again."""

from __future__ import annotations

import pytest
from redis._parsers.base import BaseParser

from likes.buffer.refusals import NotNow, NotSent, refusal
from likes.errors import LikesError, RedisFull, RedisRefused


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("NOSCRIPT No matching script. Please use EVAL.", NotSent),
        ("LOADING Redis is loading the dataset in memory", NotSent),
        ("READONLY You can't write against a read only replica.", NotSent),
        ("MASTERDOWN Link with MASTER is down", NotSent),
        ("CLUSTERDOWN The cluster is down", NotSent),
        ("TRYAGAIN Multiple keys request during rehashing of slot", NotNow),
        ("BUSY Redis is busy running a script.", NotSent),
        ("NOREPLICAS Not enough good replicas to write.", NotSent),
        ("MISCONF Errors writing to the AOF file: No space left on device", NotSent),
        ("OOM command not allowed when used memory > 'maxmemory'.", RedisFull),
        ("ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed", RedisFull),
        ("NOAUTH Authentication required.", RedisRefused),
        ("NOPERM this user has no permissions to run the 'getdel' command", RedisRefused),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", RedisRefused),
        ("ERR unknown command 'GETDEL'", RedisRefused),
    ],
)
def test_what_an_error_means(answer: str, kind: type[LikesError]) -> None:
    meant = refusal(BaseParser.parse_error(answer), "Redis at here:6379")
    assert type(meant) is kind
    assert str(meant).startswith("Redis at here:6379 ")


@pytest.mark.parametrize("answer", ["NOAUTH Authentication required.", "NOPERM this user has no permissions"])
def test_what_is_not_allowed_is_said_so(answer: str) -> None:
    assert "does not allow this" in str(refusal(BaseParser.parse_error(answer), "Redis"))
