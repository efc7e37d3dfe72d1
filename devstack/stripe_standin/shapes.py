"""New objects with every member that Stripe's schema requires."""

from typing import Any

from devstack.stripe_standin.cards import TestMethod
from devstack.stripe_standin.store import Object, new_id

_NO_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
_EVIDENCE = (
    *("access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure"),
    *("cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name"),
    *("customer_purchase_ip", "customer_signature", "duplicate_charge_documentation"),
    *("duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt"),
    *("refund_policy", "refund_policy_disclosure", "refund_refusal_explanation", "service_date"),
    *("service_documentation", "shipping_address", "shipping_carrier", "shipping_date"),
    *("shipping_documentation", "shipping_tracking_number", "uncategorized_file", "uncategorized_text"),
)
_EXPIRY_YEARS = 4
_SECONDS_PER_YEAR = 31_556_952


def address(given: Any) -> Object | None:
    """An address with all its members."""
    return {**_NO_ADDRESS, **given} if isinstance(given, dict) else None


def shipping(given: Any) -> Object | None:
    """A shipping address as objects show it."""
    if not isinstance(given, dict):
        return None
    return {"carrier": None, "phone": None, "tracking_number": None, **given} | {
        "address": address(given.get("address", {}))
    }


def billing_details(given: Object | None = None) -> Object:
    """Billing details; without any, the address's members are empty."""
    details = given or {}
    members = {name: details.get(name) or None for name in ("email", "name", "phone", "tax_id")}
    return {**members, "address": address(details.get("address") or {})}


def _year(now: int) -> int:
    return 1970 + now // _SECONDS_PER_YEAR + _EXPIRY_YEARS


def payment_method(method: TestMethod, now: int, given: Object | None = None) -> Object:
    """A payment method; `given` are the parameters it was made with."""
    parameters = given or {}
    details = _bank(method) if method.kind == "us_bank_account" else _card(method, now, parameters)
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": parameters.get("allow_redisplay", "unspecified"),
        "billing_details": billing_details(parameters.get("billing_details")),
        "created": now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": parameters.get("metadata") or {},
        "type": method.kind,
        method.kind: details,
    }


def _card(method: TestMethod, now: int, parameters: Object) -> Object:
    given = parameters.get("card") or {}
    return {
        "brand": method.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "unchecked"},
        "country": "US",
        "display_brand": method.brand,
        "exp_month": given.get("exp_month", 8),
        "exp_year": given.get("exp_year", _year(now)),
        "fingerprint": f"standin{method.last4}",
        "funding": method.funding,
        "generated_from": None,
        "last4": method.last4,
        "networks": {"available": [method.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _bank(method: TestMethod) -> Object:
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": f"standin{method.last4}",
        "last4": method.last4,
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }


def charge(intent: Object, used: Object, now: int) -> Object:
    """A charge of the intent's amount, captured and paid, without a balance transaction yet."""
    prefix = "ch" if used["type"] == "card" else "py"
    return {
        **dict.fromkeys(
            (
                *("application", "application_fee", "application_fee_amount", "balance_transaction"),
                *("failure_balance_transaction", "failure_code", "failure_message", "on_behalf_of"),
                *("receipt_number", "receipt_url", "review", "source", "source_transfer"),
                *("statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group"),
            )
        ),
        "id": new_id(prefix),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "billing_details": used["billing_details"],
        "calculated_statement_descriptor": "STAND-IN",
        "captured": True,
        "created": now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "outcome": _outcome(),
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": used["id"],
        "payment_method_details": _method_details(intent, used),
        "receipt_email": intent["receipt_email"],
        "refunded": False,
        "shipping": intent["shipping"],
        "status": "succeeded",
    }


def _outcome() -> Object:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }


def declined_outcome(decline_code: str) -> Object:
    """How the network refused."""
    return _outcome() | {
        "network_advice_code": None,
        "network_decline_code": "01",
        "network_status": "declined_by_network",
        "reason": decline_code,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def _method_details(intent: Object, used: Object) -> Object:
    kind = used["type"]
    if kind == "us_bank_account":
        shown = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number")
        details = {name: used[kind][name] for name in shown} | {"payment_reference": None}
        return {"type": kind, kind: details}
    card = used["card"]
    same = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    return {
        "type": "card",
        "card": {name: card[name] for name in same}
        | {
            "amount_authorized": intent["amount"],
            "authorization_code": None,
            "electronic_commerce_indicator": None,
            "installments": None,
            "mandate": None,
            "network": card["brand"],
            "network_transaction_id": None,
            "regulated_status": "unregulated",
            "three_d_secure": None,
            "transaction_link_id": None,
            "wallet": None,
        },
    }


def three_d_secure() -> Object:
    """What a charge says of a passed challenge."""
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }


def refund(charged: Object, amount: int, now: int, given: Object) -> Object:
    """A refund of `amount` minor units; its status is `pending`."""
    card = charged["payment_method_details"]["type"] == "card"
    details: Object = {"type": "card", "card": {"type": "refund"}} if card else {"type": "us_bank_transfer"}
    return {
        "id": new_id("re" if card else "pyr"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charged["id"],
        "created": now,
        "currency": charged["currency"],
        "customer": charged["customer"],
        "customer_account": None,
        "destination_details": details | ({} if card else {"us_bank_transfer": {}}),
        "metadata": {name: value for name, value in (given.get("metadata") or {}).items() if value != ""},
        "payment_intent": charged["payment_intent"],
        "payment_method": charged["payment_method"],
        "reason": given.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending",
        "transfer_reversal": None,
    }


def dispute(
    charged: Object, amount: int, reason: str, now: int, *, inquiry: bool, evidence_days: float
) -> Object:
    """A dispute of `amount` minor units that waits for an answer, without its money movements."""
    brand = charged["payment_method_details"].get("card", {}).get("brand", "visa")
    return {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charged["id"],
        "created": now,
        "currency": charged["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now + round(evidence_days * 86400),
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": None,
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "network_reason_code": "10.4",
        "payment_intent": charged["payment_intent"],
        "payment_method_details": {
            "type": "card",
            "card": {
                "brand": brand,
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": brand,
                "network_reason_code": "10.4",
            },
        },
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }


def customer(now: int) -> Object:
    """A customer of whom nothing is known yet."""
    return {
        "id": new_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "email": None,
        "invoice_prefix": new_id("x")[2:10].upper(),
        "invoice_settings": dict.fromkeys(
            ("custom_fields", "default_payment_method", "footer", "rendering_options")
        ),
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def payment_intent(amount: int, currency: str, now: int) -> Object:
    """An intent of `amount` minor units that has no payment method yet."""
    intent_id = new_id("pi")
    secret = new_id("secret")
    return {
        **dict.fromkeys(
            (
                *("allowed_payment_method_types", "application", "application_fee_amount"),
                *("canceled_at", "cancellation_reason", "customer", "customer_account", "description"),
                *("excluded_payment_method_types", "last_payment_error", "latest_charge", "managed_payments"),
                *("next_action", "on_behalf_of", "payment_method", "payment_method_configuration_details"),
                *(
                    "payment_record",
                    "processing",
                    "receipt_email",
                    "review",
                    "setup_future_usage",
                    "shipping",
                ),
                *("source", "statement_descriptor", "statement_descriptor_suffix", "transfer_group"),
            )
        ),
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_{secret}",
        "confirmation_method": "automatic",
        "created": now,
        "currency": currency,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "payment_method_types": ["card", "us_bank_account"] if currency == "usd" else ["card"],
        "status": "requires_payment_method",
    }
