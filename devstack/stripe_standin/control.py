"""Typed client of the stand-in Stripe's control routes, for tests and demonstrations."""

from dataclasses import dataclass, fields
from typing import Any

import httpx

from devstack.lms_standin.control import ControlClient
from devstack.stripe_standin.faults import Kind

_KEY = "sk_test_control"


@dataclass(frozen=True)
class LoggedRequest:
    """A POST or DELETE; `outcome` is executed, refused, replayed or fault. Status None: cut."""

    id: str
    at: str
    method: str
    path: str
    idempotency_key: str | None
    fingerprint: str
    params: dict[str, Any]
    status: int | None
    outcome: str
    fault: str | None


@dataclass(frozen=True)
class Delivery:
    """One queued copy of an event to one endpoint: pending, delivered, dropped or failed."""

    id: int
    event_id: str
    endpoint_id: str
    type: str
    state: str
    attempts: int
    last_status: int | None
    last_error: str | None


class StripeControl(ControlClient):
    """Presses the stand-in Stripe's buttons; an async context manager. Amounts are in minor units."""

    async def confirm(self, intent_id: str, payment_method: str, **more: str) -> dict[str, Any]:
        """Pay through the public API; the intent, or the body with `error` when it was refused."""
        return await self._api(
            "POST", f"payment_intents/{intent_id}/confirm", payment_method=payment_method, **more
        )

    async def intent(self, intent_id: str) -> dict[str, Any]:
        """The intent by the public API."""
        return await self._api("GET", f"payment_intents/{intent_id}")

    async def find(self, collection: str, object_id: str) -> dict[str, Any]:
        """Any object by the public API: `find("refunds", "re_...")`."""
        return await self._api("GET", f"{collection}/{object_id}")

    async def listing(self, collection: str, **query: str) -> list[dict[str, Any]]:
        """A page of a collection, such as `events`: the newest hundred, unless `query` says otherwise."""
        page = await self._api("GET", collection, **{"limit": "100", **query})
        found: list[dict[str, Any]] = page["data"]
        return found

    async def _api(self, method: str, path: str, **given: str) -> dict[str, Any]:
        place = "params" if method == "GET" else "data"
        answer = await self._http.request(
            method,
            f"/v1/{path}",
            headers={"authorization": f"Bearer {_KEY}"},
            **{place: given},  # type: ignore[arg-type]
        )
        body: dict[str, Any] = answer.json()
        return body

    async def finish_three_d_secure(self, intent_id: str) -> dict[str, Any]:
        """The cardholder passes 3-D Secure; the intent."""
        return await self._call("POST", f"payment_intents/{intent_id}/authenticate", passed=True)

    async def fail_three_d_secure(self, intent_id: str) -> dict[str, Any]:
        """The cardholder fails 3-D Secure; the intent."""
        return await self._call("POST", f"payment_intents/{intent_id}/authenticate", passed=False)

    async def settle(self, intent_id: str) -> dict[str, Any]:
        """The bank pays a processing intent."""
        return await self._call("POST", f"payment_intents/{intent_id}/settle")

    async def fail(self, intent_id: str, code: str = "insufficient_funds") -> dict[str, Any]:
        """The bank refuses a processing intent."""
        return await self._call("POST", f"payment_intents/{intent_id}/fail", code=code)

    async def return_payment(self, intent_id: str, code: str = "debit_not_authorized") -> dict[str, Any]:
        """The bank returns a debit that had succeeded; the charge."""
        return await self._call("POST", f"payment_intents/{intent_id}/return", code=code)

    async def cancel(self, intent_id: str, reason: str | None = None) -> dict[str, Any]:
        """Cancel an intent as in the dashboard."""
        given = {} if reason is None else {"cancellation_reason": reason}
        return await self._call("POST", f"payment_intents/{intent_id}/cancel", **given)

    async def refund(
        self,
        intent_id: str,
        amount: int | None = None,
        *,
        status: str = "succeeded",
        reason: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Refund as in the dashboard; `status` may be succeeded, pending, requires_action or failed."""
        wanted = {"amount": amount, "reason": reason, "metadata": metadata}
        given = {name: value for name, value in wanted.items() if value is not None}
        return await self._call("POST", "refunds", payment_intent=intent_id, status=status, **given)

    async def settle_refund(self, refund_id: str) -> dict[str, Any]:
        """A pending refund succeeds; one that has succeeded stays as it is."""
        return await self._call("POST", f"refunds/{refund_id}/settle")

    async def fail_refund(self, refund_id: str, reason: str = "expired_or_canceled_card") -> dict[str, Any]:
        """A refund fails, even after it succeeded."""
        return await self._call("POST", f"refunds/{refund_id}/fail", reason=reason)

    async def dispute(
        self,
        intent_id: str,
        amount: int | None = None,
        *,
        reason: str = "fraudulent",
        inquiry: bool = False,
        evidence_days: float = 9,
    ) -> dict[str, Any]:
        """The cardholder disputes a payment, by default all of it; an inquiry moves no money."""
        given: dict[str, Any] = {"evidence_days": evidence_days}
        if amount is not None:
            given["amount"] = amount
        return await self._call(
            "POST", "disputes", payment_intent=intent_id, reason=reason, inquiry=inquiry, **given
        )

    async def win_dispute(self, dispute_id: str, *, fee_returned: int = 0) -> dict[str, Any]:
        """The bank decides for the account; the amount comes back, and so much of the fee."""
        return await self._call("POST", f"disputes/{dispute_id}/decide", won=True, fee_returned=fee_returned)

    async def lose_dispute(self, dispute_id: str) -> dict[str, Any]:
        """The bank decides for the cardholder."""
        return await self._call("POST", f"disputes/{dispute_id}/decide", won=False)

    async def prevent_dispute(self, dispute_id: str, *, returned: bool) -> dict[str, Any]:
        """It is settled before the bank decides; with `returned` the withdrawn money comes back."""
        return await self._call("POST", f"disputes/{dispute_id}/prevent", returned=returned)

    async def escalate_inquiry(self, dispute_id: str) -> dict[str, Any]:
        """An inquiry becomes a dispute and moves money."""
        return await self._call("POST", f"disputes/{dispute_id}/escalate")

    async def pay_out(self, amount: int, currency: str = "usd") -> dict[str, Any]:
        """The account's money goes to its bank; the payout."""
        return await self._call("POST", "payouts", amount=amount, currency=currency)

    async def fail_payout(self, payout_id: str) -> dict[str, Any]:
        """The bank sends a payout back."""
        return await self._call("POST", f"payouts/{payout_id}/fail")

    async def adjust(self, amount: int, category: str, currency: str = "usd") -> dict[str, Any]:
        """Move the balance alone, under any reporting category; the balance transaction."""
        return await self._call("POST", "adjustments", amount=amount, currency=currency, category=category)

    async def settle_in(self, currency: str, rate: str, *, of: str) -> None:
        """From now on what moves in `of` settles in `currency`, at `rate` for one minor unit."""
        await self._call("PUT", "settlement", of=of, currency=currency, rate=rate)

    async def fault(
        self,
        method: str,
        path: str,
        kind: Kind,
        *,
        count: int | None = 1,
        skip: int = 0,
        seconds: float | None = None,
        status: int = 500,
        kept: bool | None = None,
    ) -> None:
        """Put a fault in force for the next `count` calls (None: until cleared); see `faults.Fault`."""
        fault: dict[str, Any] = {"method": method, "path": path, "kind": kind, "count": count, "skip": skip}
        fault |= {"seconds": seconds, "status": status, "kept": kept}
        _checked(await self._http.post("/_test/faults", json=fault))

    async def faults(self) -> list[dict[str, Any]]:
        """The faults in force."""
        return await self._read("faults")

    async def clear_faults(self) -> None:
        """End all faults."""
        await self._call("DELETE", "faults")

    async def chaos(
        self,
        *,
        duplicate: int = 0,
        reorder: bool = False,
        delay_seconds: float = 0.0,
        drop: list[str] | None = None,
        old_secret: str | None = None,
        count: int | None = None,
    ) -> None:
        """Spoil deliveries: further copies, newest first, later, not at all, signed with another secret."""
        await self._call(
            "PUT",
            "chaos",
            duplicate=duplicate,
            reorder=reorder,
            delay_seconds=delay_seconds,
            drop=drop or [],
            old_secret=old_secret,
            count=count,
        )

    async def clear_chaos(self) -> None:
        """Deliver normally; a pause stays."""
        await self._call("DELETE", "chaos")

    async def pause_deliveries(self) -> None:
        """Hold deliveries back."""
        await self._call("POST", "deliveries/pause")

    async def resume_deliveries(self) -> None:
        """Let them go."""
        await self._call("POST", "deliveries/resume")

    async def release_dropped(self) -> int:
        """Send dropped deliveries after all; returns how many."""
        return int((await self._call("POST", "deliveries/release"))["released"])

    async def deliveries(self, event_id: str | None = None, state: str | None = None) -> list[Delivery]:
        """Deliveries, newest first."""
        rows = await self._read("deliveries", event_id=event_id, state=state)
        return [Delivery(**{one.name: row[one.name] for one in fields(Delivery)}) for row in rows]

    async def send_again(self, event_id: str) -> int:
        """Send one more copy of an event to every endpoint; returns how many copies."""
        return int((await self._call("POST", f"events/{event_id}/send"))["copies"])

    async def roll_secret(
        self, endpoint_id: str, secret: str | None = None, *, overlap_seconds: float = 86400
    ) -> str:
        """A new signing secret; deliveries are signed with both for `overlap_seconds`. Returns it."""
        given = {} if secret is None else {"secret": secret}
        path = f"webhook_endpoints/{endpoint_id}/roll"
        return str((await self._call("POST", path, overlap_seconds=overlap_seconds, **given))["secret"])

    async def now(self) -> int:
        """The account's clock, seconds since the epoch."""
        return int(_checked(await self._http.get("/_test/clock"))["now"])

    async def advance_clock(self, seconds: float) -> int:
        """Move the account's clock on; returns the new time."""
        return int((await self._call("POST", "clock", advance_seconds=seconds))["now"])

    async def set_clock_offset(self, seconds: float) -> None:
        """Let the account's clock run ahead by so much (0: the real time)."""
        await self._call("POST", "clock", offset_seconds=seconds)

    async def timing(self) -> dict[str, float | None]:
        """Seconds until things happen by themselves."""
        return _checked(await self._http.get("/_test/timing"))

    async def set_timing(self, **seconds: float | None) -> None:
        """Change them (None: never); the names are those of `tasks.DEFAULT_SECONDS`."""
        await self._call("PUT", "timing", **seconds)

    async def requests(
        self, *, idempotency_key: str | None = None, path: str | None = None, method: str | None = None
    ) -> list[LoggedRequest]:
        """The log of POST and DELETE requests, oldest first; `path` may have `*`."""
        given = {"idempotency_key": idempotency_key, "path": path, "method": method}
        query = {name: value for name, value in given.items() if value is not None}
        rows = _checked(await self._http.get("/_test/requests", params=query))["data"]
        return [LoggedRequest(**{one.name: row[one.name] for one in fields(LoggedRequest)}) for row in rows]

    async def effects(self, idempotency_key: str | None = None) -> dict[str, int]:
        """How often a request was executed, by idempotency key."""
        query = {} if idempotency_key is None else {"idempotency_key": idempotency_key}
        found: dict[str, int] = _checked(await self._http.get("/_test/effects", params=query))["data"]
        return found

    async def reset(self) -> None:
        """Forget everything but the configured webhook endpoint."""
        await self._call("POST", "reset")


def _checked(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
