"""One call of the API: what the gateway hands to an operation, and what lists and metadata have in common."""

from dataclasses import dataclass, field
from typing import Any

from devstack.stripe_standin.errors import invalid_parameter, no_such
from devstack.stripe_standin.store import Object, Page, Store

_LONGEST_PAGE = 100


@dataclass(frozen=True)
class Call:
    """Checked parameters, the id in the path, and the address that the caller used (scheme and host)."""

    path: str
    params: dict[str, Any] = field(default_factory=dict)
    object_id: str = ""
    origin: str = ""
    publishable: bool = False


def merged_metadata(before: dict[str, str] | None, given: Any) -> dict[str, str]:
    """Metadata after an update: empty values take keys away, an empty text takes all."""
    if given is None:
        return before or {}
    if given == "":
        return {}
    return {name: value for name, value in {**(before or {}), **given}.items() if value != ""}


def fetch(store: Store, kind: str, object_id: str, param: str = "id") -> Object:
    """The object, or Stripe's `resource_missing`."""
    found = store.find(object_id, kind)
    if found is None:
        raise no_such(kind, object_id, param)
    return found


def list_objects(
    store: Store,
    kind: str,
    call: Call,
    *links: str,
    types: tuple[str, ...] = (),
    since: int | None = None,
) -> Object:
    """A page of objects; `links` are parameters that filter by the member of the same name.

    `types` are event types with `*`; older objects than `since` (seconds since the epoch) are left out.
    """
    params = call.params
    created = params.get("created")
    if since is not None:
        exact = (
            {}
            if created is None
            else created
            if isinstance(created, dict)
            else {"gte": created, "lte": created}
        )
        created = exact | {"gte": max(since, exact.get("gte", since))}
    limit = params.get("limit", 10)
    if not 1 <= limit <= _LONGEST_PAGE:
        raise invalid_parameter(
            f"Invalid integer: limit must be between 1 and {_LONGEST_PAGE}",
            "limit",
            "parameter_invalid_integer",
        )
    cursors = {name: params.get(name) for name in ("starting_after", "ending_before")}
    if all(cursors.values()):
        raise invalid_parameter(
            "You cannot parameterize starting_after and ending_before together.", "starting_after"
        )
    for name, cursor in cursors.items():
        if cursor is not None:
            fetch(store, kind, cursor, name)
    wanted = Page(
        limit=limit,
        created=created,
        equal={link: params.get(link) for link in links},
        types=types,
        **cursors,
    )
    found, more = store.page(kind, wanted)
    return {"object": "list", "data": found, "has_more": more, "url": call.path}
