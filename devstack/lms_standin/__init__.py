"""The stand-in LMS: a real HTTP server that owns users, courses, enrolments and completion.

It knows nothing of commerce. Its REST protocol is described in `service`, its control routes for
tests in `controls`, its pages for people in `pages`.
"""
