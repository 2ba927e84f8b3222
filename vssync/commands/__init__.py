"""Each verb as a function: it calls the layers below in order, and returns a value for `render` and `cli` to show.

manifest -> sources -> Desired ---+
                                  +-> planner -> Plan -> (a person) -> applier -> Report
service -> snapshot -> Snapshot --+
"""
