"""What a run records on this machine: each write, before and after it, and which process is applying.

Correctness never depends on it: an interrupted run is continued by planning again. It tells which uploads no store
holds, so that they are not sent twice, and keeps two runs on one machine apart. It holds no secret and no content.
"""
