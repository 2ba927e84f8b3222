"""`vssync doctor`: looks at a service, a credential and their permissions, and says what to fix.

It writes nothing but a scratch store that was asked for, and shows no secret.
"""
