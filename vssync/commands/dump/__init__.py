"""`vssync dump`: the manifest of a store that exists already."""
