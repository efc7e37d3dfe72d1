"""Ids in addresses, and filters that several lists have: what the document says of them."""

from typing import Annotated

from fastapi import Path, Query

OrderPath = Annotated[str, Path(description="The order's `id`, not its number.")]
LinePath = Annotated[str, Path(description="The `id` of one of the order's `lines`.")]
CartLinePath = Annotated[str, Path(description="The `id` of one of the cart's `lines`.")]
UserPath = Annotated[
    str, Path(description="Our id of the user, as `GET /v1/me` or `GET /v1/users` has it, not the LMS's.")
]
ItemPath = Annotated[str, Path(description="The item's `id`, not its slug.")]
ItemOrSlugPath = Annotated[str, Path(description="The item's `id`, or its `slug`.")]
PromotionPath = Annotated[str, Path(description="The promotion's `id`, not its code.")]
AffiliatePath = Annotated[str, Path(description="The affiliate's `id`, not its code.")]
RefundPath = Annotated[str, Path(description="The refund's `id`, among its order's `refunds`.")]
PaymentPath = Annotated[
    str, Path(description="The payment's `id`, among its order's `payments`, not the intent's.")
]
EntitlementPath = Annotated[
    str, Path(description="The entitlement's `id`, among its order's `entitlements`.")
]
DocumentPath = Annotated[str, Path(description="The document's `id`, not its number.")]
DisputePath = Annotated[str, Path(description="Our `id` of the dispute, not the processor's.")]
RunChangePath = Annotated[str, Path(description="The change's `id`, as `GET /v1/run-changes` lists it.")]
TaskPath = Annotated[str, Path(description="The task's `id`, as `GET /v1/tasks` lists it.")]
DifferencePath = Annotated[
    str, Path(description="The difference's `id`, as `GET /v1/reconciliation/differences` lists it.")
]
PeriodPath = Annotated[
    str, Path(description="The month, such as `2026-03`: from the ledger's first to the present one (UTC).")
]
EndpointPath = Annotated[
    str, Path(description="The endpoint's `id`; one that was deleted still shows its deliveries.")
]
DeliveryPath = Annotated[
    str, Path(description="The delivery's `id`, as the log of its endpoint has it, not the event's.")
]

UserFilter = Annotated[
    str | None,
    Query(description="Of this user, by our id; for operators and machines: others have only their own."),
]
