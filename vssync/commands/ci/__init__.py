"""`vssync ci`: the jobs that review a change, apply what was merged, watch for drift, and keep previews.

What is found out about a manifest goes into one text for all of them, which the forge shows as a comment, an issue or
the job's summary. Whatever goes wrong stands there, too, so that no earlier text is taken for today's.
"""
