"""The manifest: text in, desired state out. Pure: `sources` reads files, walks folders and hands them in.

parse, checked    YAML or JSON text -> Document, with the form the schema demands
includes, build   Documents -> Manifest, for one environment
choose            Manifest and Listing -> which files, under which levels
resolve           and what was read of them -> Desired
places            paths of a manifest -> file, line, column
"""
