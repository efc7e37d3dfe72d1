"""What an API key of a machine may be allowed."""

from enum import StrEnum

from domain.errors import InvalidInput


class Scope(StrEnum):
    """One area of the API, read or written."""

    ORDERS_READ = "orders:read"
    """Orders, payments, entitlements and documents of everybody."""
    EARNINGS_READ = "earnings:read"
    """Earnings and payouts of every payee."""
    LEDGER_READ = "ledger:read"
    """Journal entries, accounts, the trial balance."""
    CATALOG_WRITE = "catalog:write"
    """Make and change items."""
    PROMOTIONS_READ = "promotions:read"
    """Promotions with their uses."""
    PROMOTIONS_WRITE = "promotions:write"
    """Make and change promotions."""
    WEBHOOKS_READ = "webhooks:read"
    """Receivers of events, and what was sent to them."""
    WEBHOOKS_WRITE = "webhooks:write"
    """Make, change and delete receivers, rotate secrets, send events again."""


def parse_scopes(text: str) -> list[Scope]:
    """Scopes from `a:read,b:write`, each once; InvalidInput for one that is none, or for none at all."""
    try:
        found = {Scope(part.strip()) for part in text.split(",") if part.strip()}
    except ValueError as error:
        raise InvalidInput(f"{error}; the scopes are {', '.join(Scope)}") from error
    if not found:
        raise InvalidInput(f"a key needs a scope at least; the scopes are {', '.join(Scope)}")
    return sorted(found)
