# From Labelme polygons to a reviewed panoptic DETR. `make` without a target lists the targets.
DATASET ?= datasets/yard
SPACE   := $(subst ,, )
# make splits text at spaces
RUN     ?= runs/$(subst |,$(SPACE),$(notdir $(patsubst %/,%,$(subst $(SPACE),|,$(DATASET)))))
# the split that is predicted, scored and reviewed; files about other splits than test are in RUN/SPLIT
SPLIT   ?= test
SCORED   = $(RUN)$(patsubst %,/%,$(filter-out test,$(SPLIT)))
PORT    ?= 5151
CONFIG  ?=
TIME    ?=
LIST    ?= $(SCORED)/redraw.json
ifndef PYTHON
PYTHON  := $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
endif

VENV     := .venv
PIPELINE := $(VENV)/bin/python pipeline.py
TRUTH     = $(DATASET)/panoptic/annotations/panoptic_$(SPLIT).json
PREDICTED = $(SCORED)/predictions/panoptic.json

# recipes read paths from the environment, so that the shell sees no quotes in them
export DATASET RUN SPLIT SCORED CONFIG TIME LIST TRUTH PREDICTED PYTHON
export FIFTYONE_DO_NOT_TRACK := true
export PYTHONUNBUFFERED := 1

.PHONY: help setup sample dataset-folder annotate dataset train review relabel demo test check clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@echo "DATASET=$$DATASET RUN=$$RUN"
	@sed -n 's/^\([a-z]*\):.*## /  make \1 \t/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(VENV)/ready  ## install pinned versions into .venv, and prepare a database for FiftyOne

$(VENV)/ready: pyproject.toml constraints.txt curation/app/setup_database.py
	@test -n "$$PYTHON" || { echo "error: Python: expected 3.11 or later, found none (Debian, Ubuntu: apt install python3 python3-venv)"; exit 1; }
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python: expected 3.11 or later, found $$PYTHON, which is older; select another with PYTHON="; exit 1; }
	@"$$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || { echo "error: Python: the module venv is missing (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "== setup: installing into $(VENV) (only once; takes a few minutes and about 7 GB, including torch's CUDA libraries)"
	"$$PYTHON" -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@echo "== setup: downloading and installing packages"
	$(VENV)/bin/uv pip install --compile-bytecode --constraint constraints.txt --editable '.[test]'
	@echo "== setup: preparing a database for FiftyOne"
	$(VENV)/bin/python -W ignore -m curation.app.setup_database
	@touch $@
	@echo "== setup: done"

sample: setup  ## render the synthetic sample set datasets/yard
	$(PIPELINE) sample datasets/yard

# targets that need a data set render yard first if DATASET is yard
dataset-folder: setup
	@test "$$DATASET" != datasets/yard || $(PIPELINE) sample datasets/yard

annotate: dataset-folder  ## open DATASET in Labelme, then check the changes
	$(PIPELINE) annotate "$$DATASET"

dataset: dataset-folder  ## validate DATASET, convert it to COCO panoptic, load it into FiftyOne
	@status=0; for step in validate convert curate; do \
	  echo "== $$step $$DATASET"; $(PIPELINE) $$step "$$DATASET" || status=$$?; done; exit $$status

train: dataset-folder  ## train on DATASET, predict its photos of SPLIT, evaluate, write the report
	@echo "== convert $$DATASET"; $(PIPELINE) convert "$$DATASET" || { test $$? = 1 && test -f "$$DATASET/panoptic/manifest.json"; }
	@test -f "$$TRUTH" || { echo "error: $$DATASET/panoptic: expected the split $$SPLIT, found none; select another with SPLIT="; exit 1; }
	@echo "== train $$RUN"; $(PIPELINE) train "$$DATASET" --run "$$RUN" $(if $(TIME),--time "$$TIME") $(if $(CONFIG),--config "$$CONFIG")
	@echo "== predict $$RUN"; $(PIPELINE) predict "$$RUN" "$$DATASET/panoptic/$$SPLIT" --out "$$SCORED/predictions"
	@echo "== evaluate $$RUN"; $(PIPELINE) evaluate "$$TRUTH" "$$PREDICTED" --json "$$SCORED/scores.json"
	@echo "== report $$RUN"; $(PIPELINE) report "$$RUN" --split "$$SPLIT"

review: dataset-folder  ## show the predictions of RUN beside the ground truth in FiftyOne's App
	@test -f "$$PREDICTED" || $(MAKE) --no-print-directory train
	$(PIPELINE) review "$$RUN" --split "$$SPLIT" --port $(PORT)

relabel: setup  ## open the photos of LIST (default: redraw.json of RUN) in Labelme, then score the changes
	$(PIPELINE) relabel "$$DATASET" "$$LIST" --with-predictions $(if $(filter %.json,$(lastword $(LIST))),,--run "$$SCORED")

demo: DATASET := datasets/yard
demo: RUN := runs/yard
demo: TIME := 4m
demo: setup  ## run the full pipeline non-interactively on yard (about 10 minutes on 2 cores)
	@$(MAKE) --no-print-directory dataset train DATASET="$$DATASET" RUN="$$RUN" TIME="$$TIME"
	@echo "== review $$RUN"; $(PIPELINE) review "$$RUN" --no-app
	@echo
	@echo "done. Results:"
	@echo "  report        $$RUN/report/index.html"
	@echo "  data set      $$DATASET/panoptic/"
	@echo "  predictions   $$RUN/predictions/"
	@echo "  FiftyOne App  make review"
	@echo "  Labelme       make annotate"

# each file's tests run in one of three processes, because some of them wait for programs, in the
# order that tests/conftest.py sets
test: setup  ## run the whole test suite
	$(VENV)/bin/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder

check: test  ## run the tests, the linter and the type checker
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean:  ## remove caches, the sample set and its run, but not your own data sets and runs
	rm -rf datasets/yard runs/yard .pytest_cache .mypy_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
