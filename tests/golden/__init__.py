"""Golden numbers of the public implementation; README.md says where they come from and what was left out."""
