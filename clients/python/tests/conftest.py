"""What every test of the client may use."""

from fake_service import fake

__all__ = ["fake"]
