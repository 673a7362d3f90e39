"""Opening Labelme on the photos that are to be drawn."""
