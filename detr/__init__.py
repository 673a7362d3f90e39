"""DETR: the model, its training and its predictions."""

from detr.kernels.threads import limit_spinning

limit_spinning()  # here, because it must run before anything imports torch
