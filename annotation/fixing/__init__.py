"""Safe fixes of annotation files, with backups to undo them."""
