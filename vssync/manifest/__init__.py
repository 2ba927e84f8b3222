"""The manifest: text in, desired state out. Pure: `sources` reads files, walks folders and passes them in.

yaml_loader, schema   YAML or JSON text -> Document, checked against the schema
build                 Documents -> Manifest, for one environment
select, resolve       Manifest and files -> Desired
source_map            a path in a manifest -> file, line, column
"""
