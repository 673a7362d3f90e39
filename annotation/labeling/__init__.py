"""Opening Labelme on the photos that a person annotates next."""
