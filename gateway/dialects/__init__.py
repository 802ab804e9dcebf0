"""What devices say: (topic, payload) in, observations out; pure, and never raising."""

from gateway.dialects.dispatch import read
from gateway.dialects.reading import DialectSettings, Reading

__all__ = ["DialectSettings", "Reading", "read"]
