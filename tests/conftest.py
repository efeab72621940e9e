"""The fixtures that all tests share; what they are made of stands in `serving` and `desk`."""

from desk import desk, new_desk, packs
from serving import editions, new_service, receiver, service, shared_service

__all__ = ["desk", "editions", "new_desk", "new_service", "packs", "receiver", "service", "shared_service"]
