"""Where the manifest's world is read: its files, folders, git and .gitignore. `manifest` decides what it means."""
