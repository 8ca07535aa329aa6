"""Training the embedded profile's small models on the photographs at hand."""
