"""Keys, sealing and formats of a person's vault (``FORMAT.md``)."""
