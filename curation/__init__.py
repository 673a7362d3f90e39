"""Everything that uses FiftyOne: loading a data set, curating it and reviewing predictions."""

from curation.app.settings import set_environment

# FiftyOne reads these variables while it is imported and may report its use at that moment, so
# they are set before any module of this package imports it.
set_environment()
