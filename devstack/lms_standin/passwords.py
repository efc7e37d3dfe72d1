"""Password hashes of the stand-in: real scrypt, with parameters cheap enough for a test stack."""

import hashlib
import hmac
import secrets

_COST = {"n": 2**9, "r": 8, "p": 1}


def hash_password(password: str) -> str:
    """A salted hash as text."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **_COST).hex()}"


def password_matches(password: str, stored: str) -> bool:
    """Whether the stored hash was made of this password."""
    salt, _, digest = stored.partition("$")
    made = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **_COST)
    return hmac.compare_digest(made, bytes.fromhex(digest))
