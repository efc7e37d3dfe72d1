"""Identity: register and log in at the LMS, our own tokens, refresh with rotation."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.dependencies import Resuming, Services, ServicesDep, SessionDep, SignedIn
from api.idempotency import CommerceRoute, rerun_on_replay, without_key
from api.rate_limits import limited
from api.schemas.auth import Jwks, LoginBody, RefreshBody, RegisterBody, Session, UserView
from api.tokens import hash_refresh_token, new_refresh_token
from domain.errors import Unauthenticated
from domain.limits import LOGIN, REGISTER
from integrations.lms.port import LmsUser
from models.database import Session as DatabaseSession
from models.queries import people
from models.queries.people import UserRow

router = APIRouter(route_class=CommerceRoute, tags=["auth"])


def _view(user: UserRow) -> UserView:
    return UserView(
        id=user.id,
        lms_user_id=user.lms_user_id,
        email=user.email,
        full_name=user.full_name,
        roles=list(user.roles),
    )


async def _sign_in(services: Services, session: DatabaseSession, found: LmsUser) -> Session:
    user = await people.remember(
        session,
        lms_user_id=found.id,
        username=found.username,
        email=found.email,
        full_name=found.full_name,
        roles=list(found.roles),
    )
    return await _tokens(services, session, user, family_id=None)


async def _tokens(
    services: Services, session: DatabaseSession, user: UserRow, *, family_id: str | None
) -> Session:
    refresh_token, token_hash = new_refresh_token()
    await people.keep_refresh_token(session, user_id=user.id, token_hash=token_hash, family_id=family_id)
    return Session(
        user=_view(user),
        access_token=services.tokens.issue(user.id, user.roles),
        refresh_token=refresh_token,
        expires_in=services.tokens.access_ttl_seconds,
    )


@router.post("/v1/auth/register", status_code=201, operation_id="register")
@rerun_on_replay
@limited(REGISTER)
async def register(
    body: Annotated[RegisterBody, Body()],
    services: ServicesDep,
    session: SessionDep,
    resuming: Resuming,
) -> Session:
    """Register at the LMS. A retry with the same key signs in again: same user, fresh tokens."""
    email = body.email.lower()
    first_name, _, last_name = body.full_name.strip().partition(" ")
    found = await services.lms.register(
        email=email,
        username=email,
        password=body.password,
        first_name=first_name,
        last_name=last_name or first_name,
        resuming=resuming,
    )
    return await _sign_in(services, session, found)


@router.post("/v1/auth/login", operation_id="login")
@without_key
@limited(LOGIN)
async def login(body: Annotated[LoginBody, Body()], services: ServicesDep, session: SessionDep) -> Session:
    """Log in at the LMS; the password is neither stored nor logged."""
    return await _sign_in(services, session, await services.lms.authenticate(body.username, body.password))


@router.post("/v1/auth/refresh", operation_id="refresh")
@without_key
async def refresh(
    body: Annotated[RefreshBody, Body()], services: ServicesDep, session: SessionDep
) -> Session:
    """Exchange a refresh token. One that was used before revokes its whole family."""
    spent = await people.spend_refresh_token(session, hash_refresh_token(body.refresh_token))
    user = None if spent is None or not spent.good else await people.get(session, spent.user_id)
    if spent is None or user is None:
        await session.commit()  # the refusal would roll the revocation back
        raise Unauthenticated("the refresh token is not valid", code="invalid_refresh_token")
    # The old token is spent and the new one made in one transaction: an honest retry finds either.
    return await _tokens(services, session, user, family_id=spent.family_id)


@router.post("/v1/auth/logout", status_code=204, operation_id="logout")
@without_key
async def logout(body: Annotated[RefreshBody, Body()], session: SessionDep) -> Response:
    """End the family of a refresh token; an unknown one is no error."""
    spent = await people.spend_refresh_token(session, hash_refresh_token(body.refresh_token))
    if spent is not None:
        await people.revoke_family(session, spent.family_id)
    return Response(status_code=204)


@router.get("/v1/me", operation_id="me")
async def me(caller: SignedIn, session: SessionDep) -> UserView:
    """The caller."""
    user = await people.get(session, caller.user_id)
    if user is None:
        raise Unauthenticated("this user is no longer known")
    return _view(user)


@router.get("/.well-known/jwks.json", operation_id="jwks")
async def jwks(services: ServicesDep) -> Jwks:
    """Our public signing keys."""
    return Jwks(**services.tokens.jwks())
