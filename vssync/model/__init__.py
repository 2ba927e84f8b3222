"""What the program speaks of, as frozen values: desired and live state, plans, reports, marks."""
