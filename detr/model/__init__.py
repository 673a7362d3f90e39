"""The networks: backbones, transformer, box and mask heads."""
