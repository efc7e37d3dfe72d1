"""What routes are handed: the services of this process, the caller, the request's session.

Each rule of who may do what is a type (`SignedIn`, `Operator`, ...); a route names the one it needs.
"""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from temporalio.client import Client

from api.tokens import TokenIssuer
from domain.errors import Forbidden, Unauthenticated
from domain.orders import Role
from integrations.dispatch import Dispatcher
from integrations.lms.port import Lms
from integrations.payments import StripePayments
from integrations.sealing import Sealer
from integrations.stripe_tax import StripeTax
from integrations.vat_registry import VatRegistry
from models.database import Database, Session


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
    tokens: TokenIssuer
    sealer: Sealer
    webhook_secrets: Secrets
    public_url: str
    seller_country: str
    vat_registry: VatRegistry
    # None: tax comes from our table.
    tax_calculator: StripeTax | None
    allow_private_addresses: bool
    temporal_namespace: str
    temporal_ui_origins: tuple[str, ...]
    is_development: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose access token was good."""

    user_id: str
    roles: frozenset[Role]

    @property
    def is_operator(self) -> bool:
        """Operators see everybody's objects."""
        return Role.OPERATOR in self.roles


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
    """The caller by bearer token; Unauthenticated without a good one."""
    cached = getattr(request.state, "principal", None)
    if cached is not None:
        return cast(Principal, cached)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send `Authorization: Bearer <access token>`")
    claims = services_of(request).tokens.verify(token.strip())
    known = {role.value for role in Role}
    principal = Principal(claims.sub, frozenset(Role(role) for role in claims.roles if role in known))
    request.state.principal = principal
    return principal


def _operator(request: Request) -> Principal:
    principal = authenticate(request)
    if not principal.is_operator:
        raise Forbidden("only an operator may do this")
    return principal


def _operator_or_service(request: Request) -> Principal:
    principal = authenticate(request)
    if not principal.roles & {Role.OPERATOR, Role.SERVICE}:
        raise Forbidden("only an operator or a service may do this")
    return principal


def _instructor_or_operator(request: Request) -> Principal:
    principal = authenticate(request)
    if not principal.roles & {Role.INSTRUCTOR, Role.OPERATOR}:
        raise Forbidden("only an instructor has earnings, and only an operator sees those of others")
    return principal


ServicesDep = Annotated[Services, Depends(services_of)]
SessionDep = Annotated[Session, Depends(session_of)]
Resuming = Annotated[bool, Depends(resuming_of)]
NewObjectId = Annotated[str, Depends(object_id_of)]

SignedIn = Annotated[Principal, Depends(authenticate)]
Operator = Annotated[Principal, Depends(_operator)]
OperatorOrService = Annotated[Principal, Depends(_operator_or_service)]
InstructorOrOperator = Annotated[Principal, Depends(_instructor_or_operator)]
