"""Stripe Tax (docs.stripe.com/tax/custom): calculations, transactions made of them, and reversals."""

from collections.abc import Iterable, Mapping
from typing import Any

from devstack.stripe_standin.call import Call, fetch
from devstack.stripe_standin.currencies import check_currency
from devstack.stripe_standin.errors import invalid_parameter, missing_parameter, refused
from devstack.stripe_standin.store import Object, Store, new_id
from devstack.stripe_standin.tax_places import Place, customer_details

_EXPIRES_SECONDS = 90 * 86400


class Taxes:
    """Calculate; commit a calculation as a transaction; reverse."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def calculate(self, call: Call) -> Object:
        """`POST /v1/tax/calculations`."""
        given, now = call.params, self._store.now()
        currency = check_currency(given["currency"])
        if not given["line_items"]:
            raise missing_parameter("line_items")
        details = customer_details(given.get("customer_details"))
        place = Place.of(details)
        lines = [self._line(item, n, place) for n, item in enumerate(given["line_items"])]
        if len({line["reference"] for line in lines}) != len(lines):
            raise invalid_parameter("Line item references must be unique.", "line_items")
        exclusive = sum(line["amount_tax"] for line in lines if line["tax_behavior"] == "exclusive")
        inclusive = sum(line["amount_tax"] for line in lines if line["tax_behavior"] == "inclusive")
        made = {
            "id": new_id("taxcalc"),
            "object": "tax.calculation",
            "amount_total": sum(line["amount"] for line in lines) + exclusive,
            "currency": currency,
            "customer": None,
            "customer_details": details,
            "expires_at": now + _EXPIRES_SECONDS,
            "livemode": False,
            "ship_from_details": None,
            "shipping_cost": None,
            "tax_amount_exclusive": exclusive,
            "tax_amount_inclusive": inclusive,
            "tax_breakdown": self._summary(lines, place),
            "tax_date": given.get("tax_date", now),
        }
        return self._store.insert(made, lines=[line["id"] for line in lines])

    def retrieve_calculation(self, call: Call) -> Object:
        """`GET /v1/tax/calculations/{id}`."""
        return fetch(self._store, "tax.calculation", call.object_id)

    def commit(self, call: Call) -> Object:
        """`POST /v1/tax/transactions/create_from_calculation`."""
        given, now = call.params, self._store.now()
        calculation = fetch(self._store, "tax.calculation", given["calculation"], "calculation")
        if calculation["expires_at"] < now:
            raise refused("This calculation has expired.", "tax_calculation_expired", "calculation")
        made = self._transaction(calculation, given, "transaction", given.get("posted_at", now))
        lines = []
        for line_id in self._store.hidden(calculation["id"])["lines"]:
            line = self._store.get(line_id)
            copied = {name: line[name] for name in _COPIED} | {
                "id": new_id("tax_li"),
                "object": "tax.transaction_line_item",
                "reversal": None,
                "type": "transaction",
            }
            lines.append(self._store.insert(copied)["id"])
        return self._store.insert(made, lines=lines)

    def reverse(self, call: Call) -> Object:
        """`POST /v1/tax/transactions/create_reversal`."""
        given, now = call.params, self._store.now()
        original = fetch(
            self._store, "tax.transaction", given["original_transaction"], "original_transaction"
        )
        if original["type"] != "transaction":
            raise refused("Only transactions can be reversed.", param="original_transaction")
        if given["mode"] not in ("full", "partial"):
            raise invalid_parameter("Invalid mode: must be one of full or partial", "mode")
        if (given["mode"] == "partial") != bool(given.get("line_items")):
            raise invalid_parameter("line_items belong to partial reversals.", "line_items")
        left = {line["id"]: self._left(line) for line in self._lines(original["id"])}
        wanted = given.get("line_items") or [
            {"original_line_item": line_id, "amount": -amount, "amount_tax": -tax, "reference": line_id}
            for line_id, (amount, tax) in left.items()
        ]
        made = self._transaction(original, given, "reversal", now)
        lines = [self._reversed(item, n, left)["id"] for n, item in enumerate(wanted)]
        return self._store.insert(made, lines=lines)

    def retrieve_transaction(self, call: Call) -> Object:
        """`GET /v1/tax/transactions/{id}`."""
        return fetch(self._store, "tax.transaction", call.object_id)

    def line_items(self, call: Call) -> Object:
        """`GET /v1/tax/.../{id}/line_items`: all of them on one page."""
        kind = "tax.calculation" if "/calculations/" in call.path else "tax.transaction"
        return self.lines_of(fetch(self._store, kind, call.object_id))

    def lines_of(self, parent: Object) -> Object:
        """The list of line items that `expand` puts in."""
        kind = "calculations" if parent["object"] == "tax.calculation" else "transactions"
        return {
            "object": "list",
            "data": self._lines(parent["id"]),
            "has_more": False,
            "url": f"/v1/tax/{kind}/{parent['id']}/line_items",
        }

    def breakdown_of(self, line: Object) -> list[Object]:
        """The jurisdictions of a calculation's line item."""
        found: list[Object] = self._store.hidden(line["id"])["breakdown"]
        return found

    def _lines(self, parent_id: str) -> list[Object]:
        return [self._store.get(line_id) for line_id in self._store.hidden(parent_id)["lines"]]

    def _line(self, item: Mapping[str, Any], index: int, place: Place) -> Object:
        amount, behavior = item["amount"], item.get("tax_behavior", "exclusive")
        if amount < 0:
            raise invalid_parameter("Amount must be zero or more.", f"line_items[{index}][amount]")
        if behavior not in ("exclusive", "inclusive"):
            raise invalid_parameter("Invalid tax_behavior", f"line_items[{index}][tax_behavior]")
        breakdown = place.breakdown(amount, inclusive=behavior == "inclusive")
        made = {
            "id": new_id("tax_li"),
            "object": "tax.calculation_line_item",
            "amount": amount,
            "amount_tax": sum(part["amount"] for part in breakdown),
            "livemode": False,
            "metadata": item.get("metadata"),
            "performance_location": item.get("performance_location"),
            "product": item.get("product"),
            "quantity": item.get("quantity", 1),
            "reference": item.get("reference", f"L{index + 1}"),
            "tax_behavior": behavior,
            "tax_code": item.get("tax_code", "txcd_10000000"),
        }
        return self._store.insert(made, breakdown=breakdown)

    def _summary(self, lines: Iterable[Object], place: Place) -> list[Object]:
        """The tax of the whole calculation, by kind and rate."""
        sums: dict[tuple[str, bool, str, str], list[int]] = {}
        for line in lines:
            for part in self.breakdown_of(line):
                rate = part["tax_rate_details"] or {"percentage_decimal": "0.0", "tax_type": ""}
                inclusive = line["tax_behavior"] == "inclusive"
                key = (rate["percentage_decimal"], inclusive, part["taxability_reason"], rate["tax_type"])
                found = sums.setdefault(key, [0, 0])
                found[0] += part["amount"]
                found[1] += part["taxable_amount"]
        return [
            {
                "amount": amount,
                "inclusive": inclusive,
                "tax_rate_details": {
                    "country": place.country,
                    "flat_amount": None,
                    "percentage_decimal": percent,
                    "rate_type": "percentage",
                    "state": place.state or None,
                    "tax_type": kind or None,
                },
                "taxability_reason": reason,
                "taxable_amount": taxable,
            }
            for (percent, inclusive, reason, kind), (amount, taxable) in sums.items()
        ]

    def _transaction(self, of: Object, given: Object, kind: str, posted_at: int) -> Object:
        if any(one["reference"] == given["reference"] for one in self._store.every("tax.transaction")):
            raise refused(
                f"A transaction with the reference {given['reference']} already exists.", param="reference"
            )
        reversal = {"original_transaction": of["id"]} if kind == "reversal" else None
        return {
            "id": new_id("tax"),
            "object": "tax.transaction",
            "created": self._store.now(),
            "currency": of["currency"],
            "customer": of["customer"],
            "customer_details": of["customer_details"],
            "livemode": False,
            "metadata": given.get("metadata", {}),
            "posted_at": posted_at,
            "reference": given["reference"],
            "reversal": reversal,
            "ship_from_details": None,
            "shipping_cost": None,
            "tax_date": of["tax_date"],
            "type": kind,
        }

    def _left(self, line: Object) -> tuple[int, int]:
        """What of a transaction's line is not reversed yet: amount and tax."""
        gone = self._store.hidden(line["id"]).get("reversed", [0, 0])
        return line["amount"] - gone[0], line["amount_tax"] - gone[1]

    def _reversed(self, item: Mapping[str, Any], index: int, left: Mapping[str, tuple[int, int]]) -> Object:
        name = f"line_items[{index}]"
        if item["original_line_item"] not in left:
            raise refused(
                "No such line item in the original transaction.", param=f"{name}[original_line_item]"
            )
        original = self._store.get(item["original_line_item"])
        amount, tax = -item["amount"], -item["amount_tax"]
        most_amount, most_tax = left[original["id"]]
        if not (0 <= amount <= most_amount and 0 <= tax <= most_tax):
            raise refused(
                "The amount to reverse is more than is left of the line item.", param=f"{name}[amount]"
            )
        self._store.hide(
            original["id"],
            reversed=[original["amount"] - most_amount + amount, original["amount_tax"] - most_tax + tax],
        )
        made = {name: original[name] for name in _COPIED} | {
            "id": new_id("tax_li"),
            "object": "tax.transaction_line_item",
            "amount": -amount,
            "amount_tax": -tax,
            "metadata": item.get("metadata"),
            "quantity": item.get("quantity", original["quantity"]),
            "reference": item["reference"],
            "reversal": {"original_line_item": original["id"]},
            "type": "reversal",
        }
        return self._store.insert(made)


_COPIED = (
    "amount", "amount_tax", "livemode", "metadata", "product", "quantity", "reference", "tax_behavior",
    "tax_code",
)  # fmt: skip
