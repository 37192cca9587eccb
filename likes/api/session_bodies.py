"""Sessions in the bodies of requests and answers; `session_schemas` describes them."""

from __future__ import annotations

from typing import Any

from likes.api.problems import invalid
from likes.api.signed_in import USER as PAGE
from likes.moments import iso
from likes.sessions.fields import check_user
from likes.sessions.session import Session


def user_in(wanted: dict[str, Any]) -> str | None:
    """The user that a body names; None for nobody. Applications may let people choose their names: not the page's."""
    user = wanted.get("user")
    if user == PAGE:
        raise invalid(f"the user {PAGE!r} is this server's own; choose another name")
    return None if user is None else check_user(user)


def fields_in(wanted: dict[str, Any]) -> dict[str, Any]:
    """The fields that a body names."""
    given = wanted.get("fields", {})
    if not isinstance(given, dict):
        raise invalid("fields is not a JSON object")
    return given


def keep_in(wanted: dict[str, Any]) -> list[Any]:
    """What a body has in place of the names of fields to keep."""
    keep = wanted.get("keep", [])
    if not isinstance(keep, list):
        raise invalid("keep is not a list of the names of fields")
    return keep


def shown(session: Session) -> dict[str, Any]:
    """What its bearer is told of a session."""
    return {
        "user": session.user or None,
        "fields": session.values,
        "hits": session.hits,
        "created_at": iso(session.created_at),
        "expires_at": iso(session.expires_at),
    }


def listed(session: Session) -> dict[str, Any]:
    """What is told of a session in a list of a user's."""
    return {
        "id": session.place.digest,
        "hits": session.hits,
        "created_at": iso(session.created_at),
        "last_seen": iso(session.last_seen),
        "expires_at": iso(session.expires_at),
    }
