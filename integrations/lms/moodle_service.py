"""Moodle's web services and login script, as functions with arguments and answers of known shapes."""

from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from domain.errors import LmsUnavailable
from integrations.lms.moodle_refusals import Refused, refusal_in, rejection_of_look_up
from integrations.lms.transport import Answer, LmsTransport, json_of, unexpected

_LOGIN = "/login/token.php"


class SiteInfo(Answer):
    """Whose the token is, and the functions behind it."""

    userid: int
    username: str
    fullname: str
    userissiteadmin: bool = False
    sitename: str = ""
    functions: list[dict[str, Any]] = []


class User(Answer):
    """An account, as the service's user may see it."""

    id: int
    username: str = ""
    fullname: str = ""
    email: str | None = None


class Created(Answer):
    """An account that was made."""

    id: int
    username: str


class Course(Answer):
    """A course that is there."""

    id: int


class Courses(Answer):
    """What is there of the courses that were looked up."""

    courses: list[Course]


class Enrolled(Answer):
    """A course that somebody is enrolled in; progress in percent."""

    id: int
    progress: float | None = Field(default=None, ge=0, le=100)
    completed: bool | None = None


class CompletionStatus(Answer):
    """Whether a course is completed."""

    completed: bool


class Completion(Answer):
    """The envelope that Moodle puts around it."""

    completionstatus: CompletionStatus


class MoodleService:
    """Calls with one token. An error is raised as Refused, or LmsUnavailable where Moodle was not able."""

    def __init__(self, transport: LmsTransport, token: str) -> None:
        self._transport = transport
        self._token = token

    async def login(self, username: str, password: str, service: str) -> str:
        """A token of the user's own; it is used once and forgotten."""
        form = {"username": username, "password": password, "service": service}
        content = json_of(await self._transport.send("POST", _LOGIN, form=form))
        if isinstance(content, dict) and isinstance(token := content.get("token"), str) and token:
            return token
        raise refusal_in(content) or LmsUnavailable("the LMS's login answered neither a token nor an error")

    async def site_for_apps(self) -> Refused | None:
        """What Moodle's own app asks first: nobody logs in, and no function is called. An error tells that
        web services are off."""
        form = {"appsitecheck": "1"}
        return refusal_in(json_of(await self._transport.send("POST", _LOGIN, form=form)))

    async def users_by(self, field: str, value: str) -> list[User]:
        """The accounts that have this in the field."""
        try:
            return await self.ask_list(
                User, "core_user_get_users_by_field", {"field": field, "values[0]": value}
            )
        except Refused as refusal:
            raise rejection_of_look_up(refusal) from refusal

    async def ask_known(self, shape: type[Any], function: str, arguments: dict[str, str]) -> Any:
        """As `ask`, of something that is always there: a missing record is a missing function."""
        try:
            return await self.ask(shape, function, arguments)
        except Refused as refusal:
            raise rejection_of_look_up(refusal) from refusal

    async def ask(
        self, shape: type[Any], function: str, arguments: dict[str, str], *, token: str | None = None
    ) -> Any:
        """The answer of a function in its shape."""
        return _shaped(shape, await self._call(function, arguments, token=token))

    async def ask_list(self, shape: type[Any], function: str, arguments: dict[str, str]) -> list[Any]:
        """The answers of a function that gives many of one shape."""
        found: list[Any] = _shaped(list[shape], await self._call(function, arguments))  # type: ignore[valid-type]
        return found

    async def ask_nothing(self, function: str, arguments: dict[str, str]) -> None:
        """Call a function that says nothing when it is done."""
        content = await self._call(function, arguments)
        if content is not None:
            raise LmsUnavailable("the LMS answered, but not what it says when it is done")

    async def _call(self, function: str, arguments: dict[str, str], *, token: str | None = None) -> Any:
        """One web service call; its JSON. Raises Refused for an error that says no."""
        form = {
            "wstoken": token or self._token,
            "wsfunction": function,
            "moodlewsrestformat": "json",  # without it, the answer is XML
            **arguments,
        }
        content = json_of(await self._transport.send("POST", "/webservice/rest/server.php", form=form))
        refusal = refusal_in(content)
        if refusal is not None:
            raise refusal
        return content


def _shaped(shape: Any, content: Any) -> Any:
    try:
        return TypeAdapter(shape).validate_python(content)
    except ValidationError as error:
        raise unexpected(error) from error
