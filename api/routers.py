"""Every router of the gateway, in the order of the documentation."""

from fastapi import APIRouter

from api.pages.errors import router as error_codes_page
from api.routes import (
    affiliates,
    auth,
    cart,
    catalog,
    checkout,
    codec,
    corrections,
    documents,
    earnings,
    health,
    ledger,
    orders,
    promotions,
    quote,
    reads,
    refunds,
    simulations,
    split_rules,
    webhook_deliveries,
    webhook_endpoints,
    webhooks,
)

ALL_ROUTERS: tuple[APIRouter, ...] = (
    auth.router,
    catalog.router,
    promotions.router,
    cart.router,
    quote.router,
    checkout.router,
    orders.router,
    documents.router,
    refunds.router,
    reads.router,
    split_rules.router,
    simulations.router,
    affiliates.router,
    earnings.router,
    corrections.router,
    ledger.router,
    webhooks.router,
    webhook_endpoints.router,
    webhook_deliveries.router,
    health.router,
    codec.router,
    error_codes_page,
)
