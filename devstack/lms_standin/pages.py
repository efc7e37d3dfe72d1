"""Pages of the stand-in LMS for people: sign in, see one's courses, follow a deep link, complete a course."""

from html import escape
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from devstack.lms_standin import seed
from devstack.lms_standin.lms import Lms
from devstack.lms_standin.users import Refused, User

_COOKIE = "lms_session"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;"
    "border-bottom:1px solid #ddd}.yes{color:#0a6b2d}.no{color:#a11}button{font:inherit;padding:.4rem 1rem}"
    "label{display:block;margin:.6rem 0}header{color:#666;border-bottom:1px solid #ddd}"
)


def _page(title: str, body: str, user: User | None, status: int = 200) -> HTMLResponse:
    who = (
        f'{escape(user.full_name)} ({escape(user.email)}) <form method="post" action="/logout"'
        ' style="display:inline"><button>Sign out</button></form>'
        if user
        else '<a href="/login">Sign in</a>'
    )
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><header><p><a href='/'>Stand-in LMS</a> · {who}</p></header>"
        f"<main><h1>{escape(title)}</h1>{body}</main></html>"
    )
    policy = {"content-security-policy": "default-src 'self'; style-src 'unsafe-inline'"}
    return HTMLResponse(html, status, headers=policy)


def _local(path: str) -> str:
    """A path on this site, whatever was asked for."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


class Pages:
    """The pages."""

    def __init__(self, lms: Lms) -> None:
        self._lms = lms

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/", self._index),
            Route("/login", self._login_form),
            Route("/login", self._login, methods=["POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/log", self._log),
            Route("/courses/{course_id}", self._course),
            Route("/courses/{course_id}/complete", self._complete, methods=["POST"]),
        ]

    def _signed_in(self, request: Request) -> User | None:
        token = request.cookies.get(_COOKIE)
        return self._lms.users.of_session(token) if token else None

    async def _index(self, request: Request) -> Response:
        user = self._signed_in(request)
        rows = []
        for course_id, title in self._lms.enrolments.courses():
            access = "" if user is None else self._access_words(user, course_id)
            link = f'<a href="/courses/{quote(course_id)}">{escape(title)}</a>'
            rows.append(f"<tr><td>{link}<td><code>{escape(course_id)}</code><td>{access}")
        body = f"<table><tr><th>Course<th>Id<th>Your access{''.join(rows)}</table>"
        return _page("Courses", body + '<p><a href="/log">Enrolment log and webhooks</a></p>', user)

    def _access_words(self, user: User, course_id: str) -> str:
        if self._lms.enrolments.is_enrolled(str(user.id), course_id):
            return '<span class="yes">enrolled</span>'
        return '<span class="no">no access</span>'

    async def _login_form(self, request: Request) -> Response:
        return self._render_login(_local(request.query_params.get("next", "/")))

    def _render_login(self, target: str, problem: str = "", status: int = 200) -> HTMLResponse:
        people = ", ".join(f"<code>{escape(user.email)}</code>" for user in seed.USERS)
        body = (
            f'<p class="no" role="alert">{escape(problem)}</p>'
            f'<form method="post" action="/login?{urlencode({"next": target})}">'
            '<label>Email or user name <input name="username" autocomplete="username" required></label>'
            '<label>Password <input name="password" type="password" autocomplete="current-password" required>'
            "</label><button>Sign in</button></form>"
            f"<p>Seeded accounts: {people}; the password is <code>{seed.PASSWORD}</code>.</p>"
        )
        return _page("Sign in", body, None, status)

    async def _login(self, request: Request) -> Response:
        target = _local(request.query_params.get("next", "/"))
        form = await request.form()
        try:
            user = self._lms.users.login(str(form.get("username", "")), str(form.get("password", "")))
        except Refused as refusal:
            return self._render_login(target, refusal.message, refusal.status)
        answer = RedirectResponse(target, 303)
        answer.set_cookie(_COOKIE, self._lms.users.open_session(user.id), httponly=True, samesite="lax")
        return answer

    async def _logout(self, request: Request) -> Response:
        self._lms.users.close_session(request.cookies.get(_COOKIE, ""))
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(_COOKIE)
        return answer

    async def _course(self, request: Request) -> Response:
        course_id = request.path_params["course_id"]
        signed_in = self._signed_in(request)
        if signed_in is None:
            return RedirectResponse("/login?" + urlencode({"next": f"/courses/{quote(course_id)}"}), 303)
        title = self._lms.enrolments.title(course_id)
        if title is None:
            return _page("No such course", "<p>This course does not exist.</p>", signed_in, 404)
        viewed = signed_in
        if (reference := request.query_params.get("user")) and signed_in.role == "operator":
            viewed = self._lms.users.find(reference)
        body = self._course_body(viewed, course_id, own=viewed == signed_in)
        return _page(title, body, signed_in)

    def _course_body(self, user: User, course_id: str, *, own: bool) -> str:
        whose = "You have" if own else f"{escape(user.full_name)} has"
        if not self._lms.enrolments.is_enrolled(str(user.id), course_id):
            return f'<p class="no" data-access="none">{whose} no access to this course.</p>'
        study = self._lms.enrolments.study(str(user.id), course_id)
        body = f'<p class="yes" data-access="granted">{whose} access to this course.</p>'
        body += f"<p>Progress: {study.progress:.0%}</p>"
        if study.completed_at is not None:
            return body + f'<p data-completed="yes">Completed at {escape(study.completed_at)}.</p>'
        if not own:
            return body
        return body + (
            f'<form method="post" action="/courses/{quote(course_id)}/complete">'
            "<button>Complete the course</button></form>"
        )

    async def _complete(self, request: Request) -> Response:
        course_id = request.path_params["course_id"]
        user = self._signed_in(request)
        if user is None:
            return RedirectResponse("/login", 303)
        if not self._lms.enrolments.is_enrolled(str(user.id), course_id):
            return _page("No access", "<p>Only who has access can complete a course.</p>", user, 403)
        self._lms.complete(user, course_id)
        return RedirectResponse(f"/courses/{quote(course_id)}", 303)

    async def _log(self, request: Request) -> Response:
        log = "".join(
            f"<tr><td>{escape(row['at'])}<td>{row['operation']}<td>{escape(row['user_id'])}"
            f"<td>{escape(row['course_id'])}<td>{'yes' if row['changed'] else 'no'}"
            f"<td>{escape(row['outcome'])}"
            for row in self._lms.enrolments.log_listing(None, None)[-200:]
        )
        sent = "".join(
            f"<tr><td>{escape(row['created_at'])}<td>{escape(row['type'])}<td>{escape(row['event_id'])}"
            f"<td>{row['state']}<td>{row['attempts']}<td>{row['last_status'] or ''}"
            for row in self._lms.deliveries.listing()[-200:]
        )
        body = (
            "<h2>Grants and revocations</h2><table><tr><th>Time<th>Call<th>User<th>Course<th>Changed"
            f"<th>Outcome{log}</table><h2>Webhooks</h2><table><tr><th>Time<th>Type<th>Event<th>State"
            f"<th>Attempts<th>Last answer{sent}</table>"
        )
        return _page("Log", body, self._signed_in(request))
