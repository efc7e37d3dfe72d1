"""Identity as the API shows it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.common import Body, Output, ShortText

Password = Annotated[str, Field(min_length=1, max_length=256)]


class RegisterBody(Body):
    """A new account at the LMS."""

    email: Annotated[ShortText, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
    password: Password
    full_name: Annotated[ShortText, Field(min_length=1, max_length=200)]


class LoginBody(Body):
    """User name or email, as the LMS takes it."""

    username: Annotated[ShortText, Field(min_length=1, max_length=254)]
    password: Password


class RefreshBody(Body):
    """The newest refresh token of the family."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=256)]


class UserView(Output):
    """A user; identity is `lms_user_id`."""

    id: str
    lms_user_id: str
    email: str | None
    full_name: str
    roles: list[str]


class Session(Output):
    """Signed in."""

    user: UserView
    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the type, no secret
    expires_in: int


class Jwks(Output):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, Any]]
