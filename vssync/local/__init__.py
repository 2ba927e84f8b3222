"""The embedded local service: OpenAI's Files and Vector Stores API over one SQLite file.

For trying vssync without an account, for its tests, and for `vssync serve`. It imports nothing from the rest of
vssync, only `transport` knows an HTTP client, and only `server` a server.
"""
