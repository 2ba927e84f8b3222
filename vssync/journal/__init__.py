"""What a run records on this machine: each write before and after it, and who is applying right now.

Correctness never depends on it: an interrupted run is continued by planning again. It tells which uploads nothing
holds, spares sending them twice, and keeps two runs of one machine apart. It holds no secret and no content.
"""
