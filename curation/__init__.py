"""Everything that uses FiftyOne: loading a data set, curating it and reviewing predictions."""

from curation.app.settings import set_environment

# FiftyOne reads these variables and may send a usage report while it is being imported, so they are
# set before any module of this package imports it.
set_environment()
