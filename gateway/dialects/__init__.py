"""What devices say: (topic, payload) in, observations out; pure, and never raising."""

from gateway.dialects.dispatch import read
from gateway.dialects.notebook import EMPTY, Notebook
from gateway.dialects.reading import DialectSettings, Lesson, Reading

__all__ = ["EMPTY", "DialectSettings", "Lesson", "Notebook", "Reading", "read"]
