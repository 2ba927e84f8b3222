"""`vssync doctor`: looks at a service, a credential and what they allow, and says what to mend.

It writes nothing but the scratch store of a trial that was asked for, shows no secret, and decides nothing for the
other commands: what it finds out goes into the manifest by a person's hand.
"""
