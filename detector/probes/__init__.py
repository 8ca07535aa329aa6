"""What could tell the classes apart other than what a picture shows, and how far counterparts are from their photographs.

The audit's measurements. None of them loads a model: they read cues collected while the audit decodes, and feature files.
"""
