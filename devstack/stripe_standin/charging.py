"""What the banks do with a confirmed intent: decline, ask for 3-D Secure, take their time, or pay."""

from dataclasses import dataclass

from devstack.stripe_standin import shapes
from devstack.stripe_standin.balance import Balance
from devstack.stripe_standin.errors import Declined, refused
from devstack.stripe_standin.events import Events
from devstack.stripe_standin.methods import PaymentMethods
from devstack.stripe_standin.store import Object, Store
from devstack.stripe_standin.tasks import Tasks

_AUTHENTICATION_FAILED = (
    "We are unable to authenticate your payment method. Please choose a different payment method and try"
    " again."
)


@dataclass(frozen=True)
class Attempt:
    """One try to charge an intent; `origin` is the stand-in's address as the caller used it."""

    intent_id: str
    method_id: str
    origin: str
    return_url: str | None = None
    off_session: bool = False
    error_on_action: bool = False
    force_challenge: bool = False


class Charging:
    """Moves intents as banks would. Everything happens in the caller's transaction."""

    def __init__(
        self, store: Store, events: Events, balance: Balance, methods: PaymentMethods, tasks: Tasks
    ) -> None:
        self._store = store
        self._events = events
        self._balance = balance
        self._methods = methods
        self._tasks = tasks
        tasks.register("post_charge", self.post_charge)

    def start(self, attempt: Attempt) -> Object:
        """Charge the intent with a payment method; a decline raises `Declined` with its effects done."""
        intent = self._store.change(
            attempt.intent_id, payment_method=attempt.method_id, last_payment_error=None, next_action=None
        )
        used = self._store.get(attempt.method_id)
        behaviour = self._methods.behaviour(used["id"])
        if behaviour.kind == "us_bank_account":
            return self._wait_for_bank(intent, used)
        if behaviour.three_d_secure or attempt.force_challenge:
            if attempt.off_session or attempt.error_on_action:
                raise self._decline(
                    intent,
                    used,
                    "authentication_required",
                    "authentication_required",
                    "Your card was declined. This transaction requires authentication.",
                )
            return self._challenge(intent, attempt)
        if behaviour.code is not None:
            raise self._decline(intent, used, behaviour.code, behaviour.decline_code, behaviour.message)
        return self._pay(intent, used)

    def authenticate(self, intent_id: str, *, passed: bool) -> Object:
        """The cardholder finished 3-D Secure, or failed it."""
        intent = self._in_state(intent_id, "requires_action")
        used = self._store.get(intent["payment_method"])
        if passed:
            self._store.change(intent_id, next_action=None)
            return self._pay(intent, used, challenged=True)
        return self._back_to_start(
            intent,
            {
                "code": "payment_intent_authentication_failure",
                "message": _AUTHENTICATION_FAILED,
                "payment_method": used,
                "type": "card_error",
            },
        )

    def settle(self, intent_id: str) -> Object:
        """The bank paid a processing intent; the balance transaction comes later."""
        intent = self._in_state(intent_id, "processing")
        charged = self._store.change(intent["latest_charge"], status="succeeded", paid=True)
        self._events.emit("charge.succeeded", charged)
        self._tasks.later("post_charge", charged["id"], "bank_balance")
        return self._succeeded(intent_id, charged["amount"])

    def fail(self, intent_id: str, code: str = "insufficient_funds") -> Object:
        """The bank refused a processing intent."""
        intent = self._in_state(intent_id, "processing")
        message = "The customer's bank account could not be debited."
        charged = self._store.change(
            intent["latest_charge"],
            status="failed",
            paid=False,
            captured=False,
            amount_captured=0,
            failure_code=code,
            failure_message=message,
            outcome=shapes.declined_outcome(code),
        )
        self._events.emit("charge.failed", charged)
        return self._back_to_start(
            intent,
            {
                "charge": charged["id"],
                "code": "payment_intent_payment_attempt_failed",
                "message": message,
                "payment_method": self._store.get(intent["payment_method"]),
                "type": "invalid_request_error",
            },
        )

    def give_back(self, intent_id: str, code: str = "debit_not_authorized") -> Object:
        """The bank returns a debit that had succeeded; the charge fails, and its amount is taken back.

        The intent stays succeeded: that state is final.
        """
        intent = self._in_state(intent_id, "succeeded")
        charged = self._store.get(intent["latest_charge"])
        if charged["payment_method_details"]["type"] == "card" or charged["status"] != "succeeded":
            raise refused("Only a bank debit that has succeeded can be returned.", param="payment_intent")
        self.post_charge(charged["id"])  # what was never credited can't be taken back
        before = self._store.get(charged["id"])
        failed = self._store.change(
            charged["id"],
            status="failed",
            paid=False,
            failure_code=code,
            failure_message="The customer's bank returned the payment.",
            failure_balance_transaction=self._balance.charge_failure(before)["id"],
            outcome=shapes.declined_outcome(code),
        )
        self._events.emit("charge.failed", failed, before)
        return failed

    def capture(self, intent_id: str, amount: int | None) -> Object:
        """Capture an authorised charge, wholly or in part (minor units); the rest is given back."""
        intent = self._in_state(intent_id, "requires_capture")
        taken = intent["amount_capturable"] if amount is None else amount
        if taken > intent["amount_capturable"]:
            raise refused(
                "The requested capture amount is greater than the amount you can capture for this charge.",
                "amount_too_large",
                "amount_to_capture",
            )
        charged = self._store.change(
            intent["latest_charge"],
            captured=True,
            amount_captured=taken,
            amount_refunded=charged_rest(intent, taken),
        )
        charged = self._post_if_due(intent, charged)
        self._events.emit("charge.captured", charged)
        self._events_after(charged)
        return self._succeeded(intent_id, taken)

    def release(self, intent: Object) -> None:
        """Give an authorisation back: its intent is cancelled."""
        before = self._store.get(intent["latest_charge"])
        after = self._store.change(before["id"], refunded=True, amount_refunded=before["amount"])
        self._events.emit("charge.refunded", after, before)

    def post_charge(self, charge_id: str) -> None:
        """The movement of a charge that was captured a moment ago arrives."""
        charged = self._store.get(charge_id)
        if charged["balance_transaction"] is not None:
            return
        transaction = self._balance.charge(charged)
        self._events.change("charge.updated", charge_id, balance_transaction=transaction["id"])

    def _in_state(self, intent_id: str, status: str) -> Object:
        intent = self._store.get(intent_id)
        if intent["status"] != status:
            raise unexpected_state(intent, f"This PaymentIntent is {intent['status']}, not {status}.")
        return intent

    def _pay(self, intent: Object, used: Object, *, challenged: bool = False) -> Object:
        charged = shapes.charge(intent, used, self._store.now())
        if challenged:
            charged["payment_method_details"]["card"]["three_d_secure"] = shapes.three_d_secure()
        if intent["capture_method"] == "manual":
            charged |= {"captured": False, "amount_captured": 0}
        self._store.insert(charged)
        self._store.change(intent["id"], latest_charge=charged["id"])
        if not charged["captured"]:
            self._events.emit("charge.succeeded", charged)
            held = self._store.change(
                intent["id"], status="requires_capture", amount_capturable=intent["amount"]
            )
            self._events.emit("payment_intent.amount_capturable_updated", held)
            return held
        charged = self._post_if_due(intent, charged)
        self._events.emit("charge.succeeded", charged)
        self._events_after(charged)
        return self._succeeded(intent["id"], charged["amount"])

    def _post_if_due(self, intent: Object, charged: Object) -> Object:
        if intent["capture_method"] == "automatic_async" and self._tasks.timing()["card_balance"] != 0:
            self._tasks.later("post_charge", charged["id"], "card_balance")
            return charged
        transaction = self._balance.charge(charged)
        return self._store.change(charged["id"], balance_transaction=transaction["id"])

    def _events_after(self, charged: Object) -> None:
        after = self._methods.behaviour(charged["payment_method"]).after
        if after is not None:
            self._tasks.later(f"open_{after}", charged["id"], "dispute")

    def _succeeded(self, intent_id: str, received: int) -> Object:
        intent = self._store.change(
            intent_id, status="succeeded", amount_received=received, amount_capturable=0, processing=None
        )
        self._events.emit("payment_intent.succeeded", intent)
        return intent

    def _wait_for_bank(self, intent: Object, used: Object) -> Object:
        charged = shapes.charge(intent, used, self._store.now()) | {"status": "pending", "paid": False}
        self._store.insert(charged)
        self._events.emit("charge.pending", charged)
        waiting = self._store.change(intent["id"], status="processing", latest_charge=charged["id"])
        self._events.emit("payment_intent.processing", waiting)
        return waiting

    def _challenge(self, intent: Object, attempt: Attempt) -> Object:
        page = f"{attempt.origin}/3ds/{intent['id']}?client_secret={intent['client_secret']}"
        action: Object = {"type": "use_stripe_sdk"}
        action["use_stripe_sdk"] = {"type": "three_d_secure_redirect", "stripe_js": page, "source": ""}
        if attempt.return_url:
            redirect = {"return_url": attempt.return_url, "url": page}
            action = {"type": "redirect_to_url", "redirect_to_url": redirect}
        waiting = self._store.change(intent["id"], status="requires_action", next_action=action)
        self._events.emit("payment_intent.requires_action", waiting)
        return waiting

    def _decline(
        self, intent: Object, used: Object, code: str, decline_code: str | None, message: str
    ) -> Declined:
        charged = shapes.charge(intent, used, self._store.now()) | {
            "amount_captured": 0,
            "captured": False,
            "failure_code": code,
            "failure_message": message,
            "outcome": shapes.declined_outcome(decline_code or code),
            "paid": False,
            "status": "failed",
        }
        self._store.insert(charged)
        self._store.change(intent["id"], latest_charge=charged["id"])
        self._events.emit("charge.failed", charged)
        error = {
            "charge": charged["id"],
            "code": code,
            "decline_code": decline_code,
            "message": message,
            "payment_method": used,
        }
        failed = self._back_to_start(intent, error | {"type": "card_error"})
        del error["message"]
        return Declined(message, payment_intent=failed, **error)

    def _back_to_start(self, intent: Object, error: Object) -> Object:
        if "code" in error:
            link = f"https://stripe.com/docs/error-codes/{error['code'].replace('_', '-')}"
            error = error | {"doc_url": link}
        failed = self._store.change(
            intent["id"],
            status="requires_payment_method",
            payment_method=None,
            next_action=None,
            last_payment_error=error,
        )
        self._events.emit("payment_intent.payment_failed", failed)
        return failed


def charged_rest(intent: Object, taken: int) -> int:
    """What of an authorisation a capture of `taken` gives back, in minor units."""
    return int(intent["amount_capturable"]) - taken


def unexpected_state(intent: Object, message: str) -> Exception:
    """400 `payment_intent_unexpected_state` with the intent as it stands."""
    return refused(message, "payment_intent_unexpected_state", payment_intent=intent)
