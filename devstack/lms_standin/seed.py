"""What the stand-in LMS knows when it is new. The ids never change."""

from dataclasses import dataclass

PASSWORD = "commerce-demo"


@dataclass(frozen=True)
class SeedUser:
    """A user that exists from the start; `id` and `role` are stable."""

    id: int
    email: str
    first_name: str
    last_name: str
    role: str


USERS = (
    SeedUser(101, "operator@example.com", "Olive", "Operator", "operator"),
    SeedUser(102, "instructor@example.com", "Ines", "Instructor", "instructor"),
    SeedUser(103, "instructor2@example.com", "Ivan", "Instructor", "instructor"),
    SeedUser(104, "learner@example.com", "Lena", "Learner", "learner"),
    SeedUser(105, "learner2@example.com", "Luis", "Learner", "learner"),
)

COURSES = (
    ("python-101", "Python from the Ground Up"),
    ("data-science", "Data Science in Practice"),
    ("web-design", "Web Design Foundations"),
    ("japanese-basics", "Japanese Basics"),
    ("live-workshop-2027", "Live Workshop 2027"),
    ("intro-free", "Introduction to the Platform"),
)
