"""Labels that are probably wrong, found with predictions of models that have not seen them."""
