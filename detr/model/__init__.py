"""The networks: backbone, transformer, box and mask heads."""
