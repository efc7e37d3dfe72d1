"""Control routes of the stand-in LMS under `/_test/`: for tests and demonstrations, without a token.

`user` is an id, an email or a user name. `LmsControl` in `control` is the typed client.

    GET  /_test/users, /_test/courses, /_test/enrolments?user_id=&course_id=, /_test/log?user_id=&course_id=
    POST /_test/users {email, username?, password?, first_name?, last_name?, role?}
    POST /_test/courses {id, title}; DELETE /_test/courses/{id}
    POST /_test/complete {user, course_id, completed_at?}   sends course.completed, the first time
    POST /_test/take-back {user, course_id}                 sends course.completion_revoked
    POST /_test/progress {user, course_id, progress}
    POST /_test/suspend {user, suspended?}; POST /_test/unconfirm {user, confirmed?}
    POST /_test/rename {user, email?, username?, first_name?, last_name?, role?}   sends user.updated
    POST /_test/delete {user}                               sends user.deleted
    POST /_test/merge {user, into}                          sends user.merged
    GET, POST, DELETE /_test/faults                         members as in `faults.Fault`
    GET, PUT /_test/chaos                                   members as in `deliveries.Chaos`
    GET  /_test/deliveries?event_id=
    POST /_test/deliveries/release {state?}                 send the dropped (or held) ones after all
    POST /_test/events/{event_id}/send                      send one more copy
    PUT  /_test/webhook {url?, secret?}
    POST /_test/reset
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.lms_standin import seed
from devstack.lms_standin.deliveries import Chaos
from devstack.lms_standin.faults import Fault
from devstack.lms_standin.lms import Lms
from devstack.lms_standin.server import json_object
from devstack.lms_standin.users import Refused

_RENAMABLE = ("email", "username", "first_name", "last_name", "role")


class Controls:
    """The control routes."""

    def __init__(self, lms: Lms) -> None:
        self._lms = lms

    def routes(self) -> list[Route]:
        """All of them."""
        table = (
            ("GET", "users", self._users),
            ("POST", "users", self._add_user),
            ("GET", "courses", self._courses),
            ("POST", "courses", self._add_course),
            ("DELETE", "courses/{course_id}", self._remove_course),
            ("GET", "enrolments", self._enrolments),
            ("GET", "log", self._log),
            ("POST", "complete", self._complete),
            ("POST", "take-back", self._take_back),
            ("POST", "progress", self._progress),
            ("POST", "suspend", self._suspend),
            ("POST", "unconfirm", self._unconfirm),
            ("POST", "rename", self._rename),
            ("POST", "delete", self._delete),
            ("POST", "merge", self._merge),
            ("GET", "faults", self._list_faults),
            ("POST", "faults", self._add_fault),
            ("DELETE", "faults", self._clear_faults),
            ("GET", "chaos", self._get_chaos),
            ("PUT", "chaos", self._set_chaos),
            ("GET", "deliveries", self._deliveries),
            ("POST", "deliveries/release", self._release),
            ("POST", "events/{event_id}/send", self._send_again),
            ("PUT", "webhook", self._point_to),
            ("POST", "reset", self._reset),
        )
        return [Route(f"/_test/{path}", endpoint, methods=[method]) for method, path, endpoint in table]

    async def _users(self, request: Request) -> Response:
        return JSONResponse({"data": [user.as_json() for user in self._lms.users.all()]})

    async def _add_user(self, request: Request) -> Response:
        body = await json_object(request)
        email = str(body["email"])
        user = self._lms.users.register(
            email=email,
            username=str(body.get("username", email)),
            password=str(body.get("password", seed.PASSWORD)),
            first_name=str(body.get("first_name", "Test")),
            last_name=str(body.get("last_name", "User")),
            role=str(body.get("role", "learner")),
        )
        return JSONResponse(user.as_json(), 201)

    async def _courses(self, request: Request) -> Response:
        courses = [{"id": course_id, "title": title} for course_id, title in self._lms.enrolments.courses()]
        return JSONResponse({"data": courses})

    async def _add_course(self, request: Request) -> Response:
        body = await json_object(request)
        self._lms.enrolments.add_course(str(body["id"]), str(body["title"]))
        return JSONResponse({"id": body["id"], "title": body["title"]}, 201)

    async def _remove_course(self, request: Request) -> Response:
        self._lms.enrolments.remove_course(request.path_params["course_id"])
        return JSONResponse({})

    async def _enrolments(self, request: Request) -> Response:
        query = request.query_params
        return JSONResponse(
            {"data": self._lms.enrolments.listing(query.get("user_id"), query.get("course_id"))}
        )

    async def _log(self, request: Request) -> Response:
        query = request.query_params
        return JSONResponse(
            {"data": self._lms.enrolments.log_listing(query.get("user_id"), query.get("course_id"))}
        )

    async def _complete(self, request: Request) -> Response:
        body = await json_object(request)
        user = self._lms.users.find(str(body["user"]))
        study, changed = self._lms.complete(user, str(body["course_id"]), body.get("completed_at"))
        return JSONResponse(
            {"event_id": study.event_id, "completed_at": study.completed_at, "changed": changed}
        )

    async def _take_back(self, request: Request) -> Response:
        body = await json_object(request)
        user = self._lms.users.find(str(body["user"]))
        return JSONResponse({"event_id": self._lms.take_back(user, str(body["course_id"]))})

    async def _progress(self, request: Request) -> Response:
        body = await json_object(request)
        user = self._lms.users.find(str(body["user"]))
        self._lms.enrolments.set_progress(str(user.id), str(body["course_id"]), float(body["progress"]))
        return JSONResponse({})

    async def _suspend(self, request: Request) -> Response:
        body = await json_object(request)
        user = self._lms.users.find(str(body["user"]))
        changed = self._lms.users.change(user.id, suspended=bool(body.get("suspended", True)))
        return JSONResponse(changed.as_json())

    async def _unconfirm(self, request: Request) -> Response:
        body = await json_object(request)
        user = self._lms.users.find(str(body["user"]))
        changed = self._lms.users.change(user.id, confirmed=bool(body.get("confirmed", False)))
        return JSONResponse(changed.as_json())

    async def _rename(self, request: Request) -> Response:
        body = await json_object(request)
        user = self._lms.users.find(str(body["user"]))
        columns: dict[str, str | bool] = {
            name: str(body[name]) for name in _RENAMABLE if body.get(name) is not None
        }
        for name in ("email", "username"):
            if name in columns:
                columns[name] = str(columns[name]).lower()
        if not columns:
            raise ValueError(f"nothing to rename: give one of {', '.join(_RENAMABLE)}")
        renamed, event_id = self._lms.rename(user, **columns)
        return JSONResponse({"user": renamed.as_json(), "event_id": event_id})

    async def _delete(self, request: Request) -> Response:
        body = await json_object(request)
        return JSONResponse({"event_id": self._lms.delete(self._lms.users.find(str(body["user"])))})

    async def _merge(self, request: Request) -> Response:
        body = await json_object(request)
        users = self._lms.users
        event_id = self._lms.merge(users.find(str(body["user"])), users.find(str(body["into"])))
        return JSONResponse({"event_id": event_id})

    async def _list_faults(self, request: Request) -> Response:
        return JSONResponse({"data": self._lms.faults.listing()})

    async def _add_fault(self, request: Request) -> Response:
        self._lms.faults.add(Fault(**await json_object(request)))
        return JSONResponse({"data": self._lms.faults.listing()}, 201)

    async def _clear_faults(self, request: Request) -> Response:
        self._lms.faults.clear()
        return JSONResponse({"data": []})

    async def _get_chaos(self, request: Request) -> Response:
        return JSONResponse(self._lms.deliveries.describe_chaos())

    async def _set_chaos(self, request: Request) -> Response:
        self._lms.deliveries.chaos = Chaos(**await json_object(request))
        return JSONResponse(self._lms.deliveries.describe_chaos())

    async def _deliveries(self, request: Request) -> Response:
        return JSONResponse({"data": self._lms.deliveries.listing(request.query_params.get("event_id"))})

    async def _release(self, request: Request) -> Response:
        body = await json_object(request)
        state = str(body.get("state", "dropped"))
        if state not in ("dropped", "held"):
            raise ValueError("state is dropped or held")
        return JSONResponse({"released": self._lms.deliveries.release(state)})

    async def _send_again(self, request: Request) -> Response:
        if not self._lms.deliveries.send_again(request.path_params["event_id"]):
            raise Refused(404, "unknown_event", "no such event")
        return JSONResponse({})

    async def _point_to(self, request: Request) -> Response:
        body = await json_object(request)
        self._lms.deliveries.point_to(body.get("url"), body.get("secret"))
        return JSONResponse({"url": self._lms.deliveries.url})

    async def _reset(self, request: Request) -> Response:
        self._lms.reset()
        return JSONResponse({})
