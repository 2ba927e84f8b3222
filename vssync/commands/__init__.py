"""Each verb as a function: it calls the layers below in order and returns a value for somebody else to show.

text -> sources -> Desired --+
                             +-> planner -> Plan -> guard -> (a person) -> steps -> applier -> Report
service -> observe -> Snapshot
"""
