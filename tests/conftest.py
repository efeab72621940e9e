"""The fixtures that all tests share; what they are made of stands in `serving` and `desk`."""

from desk import desk, new_desk, packs, sign_in
from hypothesis import settings
from postgres import empty_url, postgres, pytest_generate_tests, store_kind
from posting import room
from serving import editions, new_service, new_store, receiver, service, shared_service, shared_services

__all__ = [
    "desk", "editions", "empty_url", "new_desk", "new_service", "new_store", "packs", "postgres",
    "pytest_generate_tests", "receiver", "room", "service", "shared_service", "shared_services", "sign_in",
    "store_kind",
]  # fmt: skip

settings.register_profile("any machine", deadline=None)  # a slow one is not a wrong one
settings.load_profile("any machine")
