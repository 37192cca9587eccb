"""What is run of each model, and whether a history that breaks a rule is to be found."""

from __future__ import annotations

from typing import NamedTuple


class Run(NamedTuple):
    """A model and its options; `breaks`: a rule was left out, so that a history must be printed."""

    model: str
    options: str
    breaks: bool


AS_BUILT = "idle=1 ordered=1 --fix ancestor,settled,held"

SHORT = [
    Run("protocol_rows", f"adds=1 {AS_BUILT}", breaks=False),
    Run("protocol_rows", "--break cursor", breaks=True),
    Run("protocol_rows", "--break named only=back", breaks=True),
    Run("protocol_rows", "--break locked idle=1 faults=0", breaks=True),
    Run("protocol_rows", "adds=1 only=failover durable=witness", breaks=False),
    Run("protocol_rows", "only=failover durable=plain", breaks=True),
    Run("owner", "--break look only=emptied", breaks=True),
    Run("once", "requests=AB", breaks=False),
    Run("once", "--break together", breaks=True),
    Run("once", "--break sequence requests=AAC crashes=0", breaks=True),
    Run("reshard", "commands=1 begin=3", breaks=False),
    Run("reshard", "--break born begin=3 commands=1", breaks=True),
    Run("reshard", "--break empty commands=1", breaks=True),
]

CLEAN = [
    ("protocol_rows", AS_BUILT),
    ("protocol_rows", f"{AS_BUILT} lock=1"),
    ("protocol_rows", f"{AS_BUILT} skips=1 adds=3 faults=0 prune=1"),
    ("protocol_rows", f"{AS_BUILT} adds=3 faults=0 row=3"),
    ("protocol_rows", f"{AS_BUILT} workers=1 adds=3 faults=2 only=back,sql"),
    ("protocol_rows", f"{AS_BUILT} skips=1 adds=3 only=sql"),
    ("protocol_rows", f"{AS_BUILT} only=failover durable=witness"),
    ("protocol_rows", f"{AS_BUILT} only=failover durable=witness lock=1"),
    ("owner", ""),
    ("owner", "adds=2 faults=0 takeover=1"),
    ("owner", "only=back"),
    ("owner", "only=lost"),
    ("live_rows", "readers=1"),
    ("once", ""),
    ("once", "requests=AAC room=1 crashes=0"),
    ("once", "faults=1 requests=AA late=0"),
    ("once", "faults=1 requests=AA losses=0 crashes=0"),
    ("once", "ticks=3 requests=AA losses=0 crashes=0"),
    ("once", "day=1 faults=1 requests=AAA losses=0 late=0 crashes=0"),
    ("once", "batch=1 late=0 losses=0"),
    ("once", "batch=1 requests=AA late=0 crashes=0"),
    ("reshard", "reads=0"),
    ("reshard", "begin=0 commands=1"),
    ("reshard", "keys=1 commands=1"),
    ("reshard", "keys=1 begin=0 commands=1"),
    ("reshard", "keys=1 begin=3 commands=1"),
    ("reshard", "old=1 commands=1"),
    ("reshard", "faults=1 commands=1"),
]

BROKEN = [
    ("protocol_rows", "workers=1 adds=3 faults=2 only=back,sql"),
    ("protocol_rows", "idle=1 ordered=1 skips=1 --fix ancestor adds=3 faults=0 prune=1"),
    ("protocol_rows", "idle=1 ordered=1 --fix ancestor,settled only=sql"),
    ("protocol_rows", "--break chain faults=2 only=back,sql"),
    ("protocol_rows", "--break nonce only=back"),
    ("protocol_rows", "--break retired faults=2 only=back,emptied"),
    ("protocol_rows", "--break resend resends=1 only=emptied,back"),
    ("protocol_rows", "--break order,relook faults=0"),
    ("protocol_rows", "--break oldest adds=3 faults=1 only=sql workers=1"),
    ("protocol_rows", "--break branch idle=1 workers=1 adds=3 faults=2 only=back,sql --fix ancestor"),
    ("protocol_rows", "--break recorded harmless=1 only=content"),
    ("owner", "--break guard faults=0 takeover=1"),
    ("owner", "--break absent only=back"),
    ("owner", "--break cas faults=0 takeover=1"),
    ("once", "--break reserve"),
    ("once", "--break text requests=AAC room=1 losses=0 late=0 crashes=0"),
    ("once", "--break all requests=AAC room=1 losses=0 late=0 crashes=0"),
    ("once", "--break digest"),
    ("once", "--break resend faults=1 requests=A"),
    ("once", "--break mark faults=1 requests=AA"),
    ("once", "--break successor ticks=3 requests=AA losses=0 crashes=0"),
    ("once", "--break guard day=1 faults=1 requests=AA"),
    ("once", "--break home batch=1"),
    ("once", "--break first batch=1"),
    ("reshard", "--break mark begin=3 commands=1"),
    ("reshard", "--break number commands=1"),
    ("reshard", "--break birth begin=0 commands=1"),
    ("reshard", "--break reader commands=1"),
    ("reshard", "--break rooted commands=1"),
    ("reshard", "--break known commands=1"),
    ("reshard", "--break unborn keys=1 commands=1"),
    ("reshard", "--break target"),
    ("reshard", "--break beyond begin=3"),
    ("reshard", "--break follows faults=1 commands=1"),
    ("reshard", "--break left keys=1 commands=1"),
    ("reshard", "--break early keys=1 begin=3 commands=1"),
]

LONG = [*(Run(*run, breaks=False) for run in CLEAN), *(Run(*run, breaks=True) for run in BROKEN)]
