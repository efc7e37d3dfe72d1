"""The one account that every test key opens: its parts, put together."""

from pathlib import Path

from devstack.stripe_standin.balance import Balance
from devstack.stripe_standin.chaos import Chaos
from devstack.stripe_standin.charging import Charging
from devstack.stripe_standin.customers import Customers
from devstack.stripe_standin.deliveries import Deliveries
from devstack.stripe_standin.disputes import Disputes
from devstack.stripe_standin.endpoints import CONFIGURED_ID, WebhookEndpoints
from devstack.stripe_standin.events import Events
from devstack.stripe_standin.faults import FaultBook
from devstack.stripe_standin.idempotency import Keys
from devstack.stripe_standin.intents import PaymentIntents
from devstack.stripe_standin.methods import PaymentMethods
from devstack.stripe_standin.parameters import Parameters
from devstack.stripe_standin.payouts import Payouts
from devstack.stripe_standin.refunds import Refunds
from devstack.stripe_standin.store import Store
from devstack.stripe_standin.tasks import Tasks
from devstack.stripe_standin.taxes import Taxes


class Account:
    """State and operations. Whoever changes something calls `committed` after the commit."""

    def __init__(self, data_dir: Path, currency: str) -> None:
        """`currency` is the account's default, in small letters."""
        self.parameters = Parameters()
        self.store = Store(data_dir / "stripe.sqlite3")
        self.chaos = Chaos.load(self.store)
        self.faults = FaultBook()
        self.keys = Keys(self.store)
        self.events = Events(self.store, self.parameters.version, self.chaos)
        self.endpoints = WebhookEndpoints(self.store)
        self.deliveries = Deliveries(self.store, self.endpoints, self.chaos)
        self.tasks = Tasks(self.store, self.events, self.deliveries.wake)
        self.balance = Balance(self.store, currency)
        self.methods = PaymentMethods(self.store, self.events)
        self.customers = Customers(self.store, self.events, self.methods)
        self.charging = Charging(self.store, self.events, self.balance, self.methods, self.tasks)
        self.intents = PaymentIntents(self.store, self.events, self.methods, self.charging)
        self.refunds = Refunds(self.store, self.events, self.balance, self.methods, self.tasks)
        self.taxes = Taxes(self.store)
        self.payouts = Payouts(self.store, self.events, self.balance)
        self.disputes = Disputes(self.store, self.events, self.balance, self.tasks)

    async def start(self) -> None:
        """Start deliveries and tasks, with what an earlier process left first."""
        await self.deliveries.start()
        await self.tasks.start()

    async def stop(self) -> None:
        """Stop; nothing is lost."""
        await self.tasks.stop()
        await self.deliveries.stop()
        self.store.close()

    def committed(self) -> None:
        """Something changed: there may be events to send and things to do later."""
        self.deliveries.wake()
        self.tasks.wake()

    def reset(self) -> None:
        """Forget everything but the configured endpoint; end faults and chaos."""
        self.store.wipe(CONFIGURED_ID)
        self.faults.clear()
        self.chaos.calm_down()
        self.committed()
