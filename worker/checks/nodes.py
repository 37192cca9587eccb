"""What was found of each node of a Redis Cluster, put together: what is in order is said once for all of them."""

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
            yield first._replace(
                found=f"{first.found} (each of {len(found)} nodes)" if name != "redis" else first.found
            )


def _of_node(where: str, finding: Finding) -> Finding:
    host, _, port = address_of(where).rpartition(":")
    cli = f"redis-cli {'--tls ' if is_over_tls(where) else ''}-h {host.strip('[]')} -p {port} "
    return finding._replace(found=f"{where}: {finding.found}", fix=finding.fix.replace("redis-cli ", cli))
