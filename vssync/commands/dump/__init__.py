"""`vssync dump`: the manifest of stores that exist already."""
