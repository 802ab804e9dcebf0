"""Entry points for fuzzers: bytes in, an exception where something is wrong; see ``__main__``."""
