"""DevRev: units of measurement (UOMs) and their registration."""
