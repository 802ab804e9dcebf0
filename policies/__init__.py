"""What may be asked, what was given, and who may read: pure functions with reasons."""
