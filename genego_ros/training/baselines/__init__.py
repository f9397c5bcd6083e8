"""How the methods that GenEgo is measured against learn: by the same loop, from the same moments."""
