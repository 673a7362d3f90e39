"""The numbers that choices depend on.

They were measured with `variant: fast` on yard (photos of 320x240 pixels) and on facades, on two
CPU cores unless a comment says otherwise. Rules compare numbers of steps, not minutes, so that they
apply to faster machines too.
"""

from __future__ import annotations

# resolution
SMALL_THING = 16  # pixels: a quarter of the things may be smaller; features begin at stride 4
LEAST_LONG_SIDE = 512  # pixels, for stuff and large things; smaller photos are enlarged
MOST_ENLARGED = 1.5  # times their own size: enlarged photos give finer outlines
MOST_LONG_SIDE = 1024  # pixels; larger photos are reduced to this
LEAST_SHORT_SIDE = 128  # pixels: four locations at stride 32; smaller photos are enlarged to this
PROBED_LONG_SIDE = 512  # pixels: of the photos of the first measured steps, at most
LEAST_STEPS = 800  # steps that a resolution must allow in the time; otherwise, a lower one is used
LEAST_REDUCTION = 0.5  # of the resolution, for lack of time; below this, too few things are visible
MULTIPLE = 32  # pixels: sizes that the features need not be padded to

# queries
RESERVE = 1.3  # times the things of the most crowded training photo
FEWEST_QUERIES, MOST_QUERIES = 40, 300

# steps: many cheap steps win over fewer with larger batches
BATCH_CPU, BATCH_GPU = 4, 8  # photos; fewer do not keep a GPU busy
LR_OF_BATCH_4 = 1e-3  # scaled with the square root of the batch size
BACKBONE_LR = 0.1  # of lr
BYTES_PER_PIXEL = 3000  # of memory, for every pixel of a batch in training
MEMORY_SHARE = 0.6  # of the available memory that training may use
# with fewer steps on a CPU, a frozen backbone wins: its steps teach as much and cost less
FREEZE_STEPS = 2500
FROZEN_STEP = 0.6  # time of a step with a frozen backbone, relative to a trained one
WARMUP_STEPS, WARMUP_SHARE = 100, 0.1  # at most; of all steps

# schedule
LONG_RUN = 7200  # seconds that a run without a time limit may take, for the choice of a resolution
PATIENCE_STEPS = 1500  # steps without a better score that end the flat part of the rates
MOST_STEPS = 30000  # of the flat part, without a time limit
FEW_SCORED = 5  # photos; with fewer, scores are too noisy to decide when to stop a run
UNSCORED_STEPS = 1500  # of a run without a time limit with fewer photos to score than that
SCORING_SHARE = 0.05  # of the time, at most
STEPS_BETWEEN_SCORES = 100  # at least

# times that are not measured; seconds
START = 8.0  # imports, reading the data set and the initial weights
EPOCH = 1.0  # writing a checkpoint and the log
SCORING = 1.0  # starting and evaluating a prediction of the held-out photos
SCORED_PHOTO = 0.9  # time to score a photo, relative to training on one of the same size
TESTED_PHOTO = 0.45  # time to compute the losses of a photo, likewise
SLOWER = 1.05  # a long run on a quiet machine, relative to a few measured steps
