"""Training examples: photos and their segments as batches of tensors."""
