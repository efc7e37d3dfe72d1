"""`python -m migrations`: upgrade the database named by DATABASE_OWNER_URL."""

from config import OwnerSettings
from migrations import upgrade

upgrade(OwnerSettings().database_owner_url.get_secret_value())
