"""What routes are handed: the services of this process, the caller, the request's session.

Each rule of who may do what is a type (`SignedIn`, `Operator`, ...); a route names the one it needs.
"""

from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request
from temporalio.client import Client

from api.dispatches import Dispatches
from api.tokens import API_KEY_PREFIX, TokenIssuer, hash_api_key
from domain.errors import BadAccessToken, Forbidden, Unauthenticated
from domain.ids import key_caller, user_caller
from domain.orders import Role
from domain.scopes import Scope
from integrations.dispatch import Dispatcher
from integrations.lms.port import Lms
from integrations.lms.tokens import LmsClaims, LmsTokens
from integrations.lms.watch import LmsWatch
from integrations.payments import StripePayments
from integrations.sealing import Sealer
from integrations.stripe_tax import StripeTax
from integrations.vat_registry import VatRegistry
from models.database import Database, Session
from models.queries import api_keys, people

_LONGEST_KEY = 100


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets that verify inbound webhooks; several while one is rotated."""

    stripe: tuple[str, ...]
    lms: tuple[str, ...]
    payout: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Services:
    """Built once per process by `api.main`."""

    database: Database
    # For what commits on its own while a request holds its session: never waits for that pool.
    commands: Database
    temporal: Client
    task_queue: str
    dispatcher: Dispatcher
    payments: StripePayments
    publishable_key: str
    lms: Lms
    lms_watch: LmsWatch
    tokens: TokenIssuer
    # None: only our own tokens count.
    lms_tokens: LmsTokens | None
    sealer: Sealer
    webhook_secrets: Secrets
    public_url: str
    seller_country: str
    vat_registry: VatRegistry
    # None: tax comes from our table.
    tax_calculator: StripeTax | None
    # A learner who did more of a course than this refunds it only through an operator.
    refund_max_progress_percent: int
    # How long the buyers of a changed run have to choose, unless an operator says otherwise.
    resolution_days: float
    # Times each limit of `domain.limits`; 0 switches them off.
    rate_limit_factor: float
    allow_private_addresses: bool
    temporal_namespace: str
    temporal_ui_origins: tuple[str, ...]
    is_development: bool
    dispatches: Dispatches = field(default_factory=Dispatches)
    # Documents are set beside the event loop, but not beside the interpreter's lock: few at a time, so that
    # a rush for them leaves time for everything else.
    typesetting: Executor = field(
        default_factory=lambda: ThreadPoolExecutor(2, thread_name_prefix="typesetting")
    )


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose access token or API key was good. `user_id` of a machine is that of its key."""

    user_id: str
    roles: frozenset[Role]
    scopes: frozenset[Scope] = frozenset()

    @property
    def is_operator(self) -> bool:
        """Operators see everybody's objects, and change them."""
        return Role.OPERATOR in self.roles

    @property
    def is_machine(self) -> bool:
        """Only API keys make services: no token of a person does."""
        return Role.SERVICE in self.roles

    @property
    def sees_all(self) -> bool:
        """Whether objects of others may be read, where the route lets the caller in at all."""
        return self.is_operator or self.is_machine

    @property
    def caller(self) -> str:
        """The owner of idempotency keys."""
        return key_caller(self.user_id) if self.is_machine else user_caller(self.user_id)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route: persons with one of the roles (none named: any person), machines with the scope.

    A route's dependency; the OpenAPI document and the test of all routes read it.
    """

    roles: frozenset[Role] = frozenset()
    scope: Scope | None = None

    def __call__(self, request: Request) -> Principal:
        """The caller; Unauthenticated or Forbidden."""
        principal = authenticate(request)
        if principal.is_machine:
            if self.scope is None:
                raise Forbidden("no API key may do this")
            if self.scope not in principal.scopes:
                raise Forbidden(f"this API key has not the scope {self.scope}")
            return principal
        if self.roles and not self.roles & principal.roles:
            raise Forbidden(f"only {' or '.join(sorted(self.roles))} may do this")
        return principal


def services_of(request: Request) -> Services:
    """The services of this process."""
    return cast(Services, request.app.state.services)


def session_of(request: Request) -> Session:
    """The request's one session; `api.idempotency.CommerceRoute` opens it and commits."""
    return cast(Session, request.state.session)


def object_id_of(request: Request) -> str:
    """The id that this write gives its new object, committed with the idempotency key."""
    return cast(str, request.state.object_id)


def resuming_of(request: Request) -> bool:
    """Whether an earlier try with this key may have had its effect already."""
    return cast(bool, request.state.resuming)


def authenticate(request: Request) -> Principal:
    """The caller by access token or API key; Unauthenticated without a good one."""
    cached = getattr(request.state, "principal", None)
    if cached is not None:
        return cast(Principal, cached)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send `Authorization: Bearer <access token>`")
    token = token.strip()
    if token.startswith(API_KEY_PREFIX):  # a good one was found before the route began
        raise Unauthenticated("this API key is not valid")
    claims = services_of(request).tokens.verify(token)
    principal = Principal(claims.sub, _roles(claims.roles))
    request.state.principal = principal
    return principal


def _roles(names: Iterable[str]) -> frozenset[Role]:
    """Roles of a person; a service has an API key."""
    known = {role.value for role in Role} - {Role.SERVICE.value}
    return frozenset(Role(name) for name in names if name in known)


async def recognize(request: Request) -> None:
    """Find the caller of an API key or of an LMS's token, where one was sent, so that `authenticate` does."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer":
        return
    lms_tokens = services_of(request).lms_tokens
    if token.startswith(API_KEY_PREFIX):
        await _recognize_machine(request, token)
    elif lms_tokens is not None and lms_tokens.claims_to_be_one(token):
        with suppress(Unauthenticated):  # said by `authenticate`, where a caller is needed
            await _recognize_person_of_lms(request, await lms_tokens.verify(token))


async def _recognize_person_of_lms(request: Request, claims: LmsClaims) -> None:
    """By the LMS's id alone; somebody new is asked for there, and who was erased and signs in again."""
    services = services_of(request)
    async with services.commands.transaction() as session:
        user = await people.by_lms_id(session, claims.lms_user_id)
    erased_at = None if user is None else user.erased_at
    if erased_at is not None and claims.issued_at <= erased_at.timestamp():
        raise Unauthenticated("this user is no longer known")
    if user is None or erased_at is not None:
        found = await services.lms.get_user(claims.lms_user_id)
        if found is None:
            raise BadAccessToken()
        async with services.commands.transaction() as session:
            user = await people.remember(
                session,
                lms_user_id=found.id,
                username=found.username,
                email=found.email,
                full_name=found.full_name,
                roles=list(found.roles),
            )
    if user.gone:
        raise Unauthenticated("this user is no longer known")
    request.state.principal = Principal(user.id, _roles(user.roles))


async def _recognize_machine(request: Request, token: str) -> None:
    if len(token) > _LONGEST_KEY:
        return
    async with services_of(request).commands.transaction() as session:
        found = await api_keys.use(session, hash_api_key(token))
    if found is not None:
        scopes = frozenset(Scope(scope) for scope in found.scopes if scope in set(Scope))
        request.state.principal = Principal(found.id, frozenset({Role.SERVICE}), scopes)


ServicesDep = Annotated[Services, Depends(services_of)]
SessionDep = Annotated[Session, Depends(session_of)]
Resuming = Annotated[bool, Depends(resuming_of)]
NewObjectId = Annotated[str, Depends(object_id_of)]

_OPERATOR = frozenset({Role.OPERATOR})
_INSTRUCTOR_OR_OPERATOR = frozenset({Role.INSTRUCTOR, Role.OPERATOR})

SignedIn = Annotated[Principal, Depends(Access())]
Operator = Annotated[Principal, Depends(Access(_OPERATOR))]
OrdersReader = Annotated[Principal, Depends(Access(scope=Scope.ORDERS_READ))]
EarningsReader = Annotated[Principal, Depends(Access(_INSTRUCTOR_OR_OPERATOR, Scope.EARNINGS_READ))]
LedgerReader = Annotated[Principal, Depends(Access(_OPERATOR, Scope.LEDGER_READ))]
CatalogWriter = Annotated[Principal, Depends(Access(_OPERATOR, Scope.CATALOG_WRITE))]
PromotionsReader = Annotated[Principal, Depends(Access(_OPERATOR, Scope.PROMOTIONS_READ))]
PromotionsWriter = Annotated[Principal, Depends(Access(_OPERATOR, Scope.PROMOTIONS_WRITE))]
WebhooksReader = Annotated[Principal, Depends(Access(_OPERATOR, Scope.WEBHOOKS_READ))]
WebhooksWriter = Annotated[Principal, Depends(Access(_OPERATOR, Scope.WEBHOOKS_WRITE))]
