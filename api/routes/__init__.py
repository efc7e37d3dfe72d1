"""Routers, one noun a file."""

from fastapi import APIRouter


def all_routers() -> list[APIRouter]:
    """Every router of the gateway."""
    from api.routes import (  # noqa: PLC0415 - routes import each other's helpers from this package
        auth,
        cart,
        catalog,
        checkout,
        earnings,
        health,
        ledger,
        orders,
        promotions,
        quote,
        reads,
        refunds,
        split_rules,
        webhook_endpoints,
        webhooks,
    )

    modules = (
        auth,
        catalog,
        promotions,
        cart,
        quote,
        checkout,
        orders,
        refunds,
        reads,
        split_rules,
        earnings,
        ledger,
        webhooks,
        webhook_endpoints,
        health,
    )
    return [module.router for module in modules]
