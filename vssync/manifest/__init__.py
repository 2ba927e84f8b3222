"""The manifest: text in, desired state out. Pure: `sources` reads files, walks folders and passes them in."""
