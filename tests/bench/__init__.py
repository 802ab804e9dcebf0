"""Figures of this project, each beside a named alternative, in one run (``make bench``)."""
