"""Identity as the API shows it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.common import Body, Output, ShortText

Password = Annotated[str, Field(min_length=1, max_length=256)]


class RegisterBody(Body):
    """A new account at the LMS."""

    email: Annotated[
        ShortText,
        Field(
            pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
            max_length=254,
            description="Kept in small letters; it is the user name at the LMS, too.",
        ),
    ]
    password: Annotated[
        Password,
        Field(description="Handed to the LMS, whose rules it has to meet; neither stored nor logged."),
    ]
    full_name: Annotated[
        ShortText,
        Field(
            min_length=1,
            max_length=200,
            description="Up to the first space it is the first name at the LMS, the rest is the last name.",
        ),
    ]


class LoginBody(Body):
    """User name or email, as the LMS takes it."""

    username: Annotated[
        ShortText,
        Field(
            min_length=1, max_length=254, description="The user name, or the email where the LMS takes that."
        ),
    ]
    password: Annotated[Password, Field(description="That of the LMS; neither stored nor logged.")]


class RefreshBody(Body):
    """The newest refresh token of the family."""

    refresh_token: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            description="The newest that was given out: one that was used before ends its whole family.",
        ),
    ]


class UserView(Output):
    """A user; identity is `lms_user_id`."""

    id: Annotated[str, Field(description="Our id of the user: orders name it as `user_id`.")]
    lms_user_id: Annotated[str, Field(description="The LMS's id: by it alone users are told apart.")]
    email: Annotated[
        str | None,
        Field(description="A copy of what the LMS has; null when it has none, or the person was erased."),
    ]
    full_name: Annotated[
        str, Field(description="A copy of what the LMS has; `Erased person` once they were erased.")
    ]
    roles: Annotated[
        list[str],
        Field(description="What the LMS says and what operators gave: `learner`, `instructor`, `operator`."),
    ]


class Session(Output):
    """Signed in."""

    user: Annotated[UserView, Field(description="Who has signed in.")]
    access_token: Annotated[
        str, Field(description="A signed JWT: send it as `Authorization: Bearer <access token>`.")
    ]
    refresh_token: Annotated[
        str,
        Field(
            description="Good for 30 days and for one use, at `POST /v1/auth/refresh`, which gives the next."
        ),
    ]
    token_type: Annotated[Literal["Bearer"], Field(description="How the access token is sent.")] = "Bearer"  # noqa: S105 - the type, no secret
    expires_in: Annotated[int, Field(description="For how many seconds the access token is good.")]


class Jwks(Output):
    """Public keys (RFC 7517)."""

    keys: Annotated[
        list[dict[str, Any]],
        Field(
            description="Ed25519 keys as JWKs, several while they are rotated: a token names its own by "
            "`kid`."
        ),
    ]
