"""What was found of each node of several, put together: what is in order is said once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from likes.buffer.encryption import address_of, is_over_tls
from worker.checks.finding import Finding, Level

BAD = (Level.WARNING, Level.ERROR)


def of_all(found: Mapping[str, Sequence[Finding]]) -> Iterator[Finding]:
    """The findings of all nodes, given by what messages call each. One that is bad names its node, in its fix, too."""
    for name in dict.fromkeys(each.name for some in found.values() for each in some):
        of_name = [(where, each) for where, some in found.items() for each in some if each.name == name]
        bad = [(where, each) for where, each in of_name if each.level in BAD]
        if bad:
            yield from (_of_node(where, each) for where, each in bad)
        else:
            _, first = of_name[0]
            of_each = f" (each of {len(found)} nodes)" if len(found) > 1 and name != "redis" else ""
            yield first._replace(found=f"{first.found}{of_each}")


def cli_of(where: str) -> str:
    """The command that talks to a node, by what messages call it."""
    host, _, port = address_of(where).rpartition(":")
    return f"redis-cli {'--tls ' if is_over_tls(where) else ''}-h {host.strip('[]')} -p {port}"


def _of_node(where: str, finding: Finding) -> Finding:
    fix = finding.fix.replace("redis-cli ", f"{cli_of(where)} ")
    return finding._replace(found=f"{where}: {finding.found}", fix=fix)
