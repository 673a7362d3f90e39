"""The stuff categories of the yard set: their COCO ids, which its label maps contain."""

SKY, DIRT, WALL, TREE, FENCE, PAVEMENT, VOID = 187, 194, 171, 184, 185, 191, 0

NAMES = (
    "sky-other-merged",
    "dirt-merged",
    "wall-brick",
    "tree-merged",
    "fence-merged",
    "pavement-merged",
)
