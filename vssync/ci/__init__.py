"""`vssync ci`: what git says of a change, and the forge (GitHub or GitLab) that the job runs on."""
