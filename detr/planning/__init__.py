"""Planning: settings chosen for the data set, the machine and the time, and what they cost."""
