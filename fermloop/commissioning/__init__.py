"""A control model is fitted to a plant's batches, and batches are designed that tell it more."""
