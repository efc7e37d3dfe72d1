"""The gateway's routes, over HTTP, against the real database and the stand-in LMS."""
