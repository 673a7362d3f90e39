"""Everything FiftyOne: load, curate, review.

FiftyOne reads these settings once, when it is imported; so they are set before any module of this
room imports it. What the user has set stays: nothing is sent anywhere, nothing listens outside.
"""

import os

os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")
os.environ.setdefault("FIFTYONE_DEFAULT_APP_ADDRESS", "127.0.0.1")
os.environ.setdefault("FIFTYONE_SHOW_PROGRESS_BARS", "false")
os.environ.setdefault("FIFTYONE_LOGGING_LEVEL", "ERROR")
