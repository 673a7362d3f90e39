"""Files of weights: checkpoints and published weights, and starting a model from them."""
