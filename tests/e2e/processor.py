"""What somebody does directly at the processor, past our gateway."""

import stripe

from config import DEVELOPMENT_STRIPE_KEY
from tests.e2e.conftest import Shop


async def pay_behind_our_back(shop: Shop, order_id: str, amount: int, currency: str = "usd") -> str:
    """Make and confirm an intent that names the order; returns the intent's id."""
    return await intent_paid_for(
        shop.stack.urls.stripe, order_id, amount, currency, key=shop.stack.env["STRIPE_SECRET_KEY"]
    )


async def intent_paid_for(
    api_base: str, order_id: str, amount: int, currency: str = "usd", *, key: str = DEVELOPMENT_STRIPE_KEY
) -> str:
    """The same at a processor's address."""
    client = stripe.StripeClient(
        key, base_addresses={"api": api_base}, http_client=stripe.HTTPXClient(timeout=20)
    )
    intent = await client.v1.payment_intents.create_async(
        {
            "amount": amount,
            "currency": currency,
            "metadata": {"order_id": order_id},
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    await client.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    return str(intent.id)
