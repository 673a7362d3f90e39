"""The Python interface: what the command line does, as functions; docs/python.md shows examples."""

from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.labelme.annotation import Annotation, Shape, read_annotation
from annotation.rules.checked import Checked
from base.errors import InputError
from conversion.coco.categories import Category
from evaluation.report.log import Epoch, read_log
from labelme_panoptic_detr.datasets import (
    convert,
    fix,
    ground_truth,
    open_dataset,
    open_or_propose,
    validate,
)
from labelme_panoptic_detr.evaluation import Evaluation, compare, evaluate, gallery, report
from labelme_panoptic_detr.instances import PanopticInstance
from labelme_panoptic_detr.label_errors import find_label_errors
from labelme_panoptic_detr.photos import PanopticPhoto, PanopticSegment
from labelme_panoptic_detr.pictures import Shown, draw_annotation, show
from labelme_panoptic_detr.prediction import Model, PhotoLike, load_model, predict
from labelme_panoptic_detr.training import plot_log, train
from samples.yard.sample import render_yard

__all__ = [
    "Annotation",
    "Category",
    "Checked",
    "Dataset",
    "Epoch",
    "Evaluation",
    "Finding",
    "InputError",
    "Model",
    "PanopticInstance",
    "PanopticPhoto",
    "PanopticSegment",
    "PhotoLike",
    "Shape",
    "Shown",
    "compare",
    "convert",
    "draw_annotation",
    "evaluate",
    "find_label_errors",
    "fix",
    "gallery",
    "ground_truth",
    "load_model",
    "open_dataset",
    "open_or_propose",
    "plot_log",
    "predict",
    "read_annotation",
    "read_log",
    "render_yard",
    "report",
    "show",
    "train",
    "validate",
]
