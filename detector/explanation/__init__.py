"""What detectors look at: contributions of named concepts, and linear heads read as text."""
