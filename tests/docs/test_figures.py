"""The figures of the README and of docs/ are those of the committed logs and scores."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from base.parsing import load_yaml
from evaluation.report.log import Epoch, read_log

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "docs/runs"
NAMES = ("yard-1", "yard-fast", "facades")
SCORED = ("pq", "box_ap", "mask_ap")
README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "docs/results.md").read_text()


def scores(run: str) -> dict[str, Any]:
    return dict(json.loads((RUNS / run / "scores.json").read_text()))


def text(run: str) -> str:
    """The README of a run as one line."""
    return " ".join((RUNS / run / "README.md").read_text().split())


def stage(run: str, name: str) -> list[Epoch]:
    return [line for line in read_log(RUNS / run / "log.jsonl") if line.stage == name]


def percent(*values: float) -> list[str]:
    return [f"{100 * value:.1f}" for value in values]


def half(values: dict[str, Any]) -> str:
    low, high = values["pq_interval"]
    return percent((high - low) / 2)[0]


def cells(line: str) -> list[str]:
    return [cell.strip().replace("*", "") for cell in line.strip("| ").split("|")]


@pytest.mark.parametrize("run", NAMES)
def test_the_table_of_a_run_is_its_scores(run: str) -> None:
    found = scores(run)
    page = (RUNS / run / "README.md").read_text()
    page = page[page.index(" | SQ | RQ |") :].partition("\n\n")[0]
    table = [cells(x) for x in page.splitlines()]
    rows = {name: found[name] for name in ("all", "things", "stuff")} | found["categories"]
    expected = []
    for name, row in rows.items():
        pq, sq, rq = percent(row["pq"], row["sq"], row["rq"])
        if "pq_interval" in row:
            pq += " ({} to {})".format(*percent(*row["pq_interval"]))
        expected.append([name, pq, sq, rq, *(str(row.get(key, "")) for key in ("tp", "fp", "fn"))])
    assert [row + [""] * (7 - len(row)) for row in table[2:]] == expected


@pytest.mark.parametrize("run", NAMES[1:])
def test_the_precision_and_the_prices_of_a_run_are_its_scores(run: str) -> None:
    found, page = scores(run), text(run)
    for name in ("box", "mask"):
        values = found[f"{name}_ap"]
        ap, low, high, ap50 = percent(values["ap"], *values["ap_interval"], values["ap50"])
        assert f"{name} AP {ap} ({low} to {high}; AP50 {ap50})" in page.replace("Box", "box")
    semantic = found["semantic"]
    miou, low, high = percent(semantic["miou"], *semantic["miou_interval"])
    assert f"mIoU {miou} ({low} to {high})" in page
    prices = sorted((kind["price"] for kind in found["errors"]["kinds"].values()), reverse=True)
    limits = page.partition("## What limits it")[2]
    named = percent(1 - found["all"]["pq"], *prices[:4])
    assert [price for price in named if f" {price} " not in limits] == []


def test_the_first_run_has_more_than_500_epochs_whose_loss_falls() -> None:
    boxes, masks = stage("yard-1", "boxes"), stage("yard-1", "masks")
    for lines, count in ((boxes, 470), (masks, 35)):
        assert [line.epoch for line in lines] == list(range(1, count + 1))
    assert len(boxes) + len(masks) > 500
    losses = [line.test["loss"] or 0 for line in boxes]
    best = 1 + losses.index(min(losses))
    fell = f"fell from {losses[0]:.1f} to {min(losses):.1f} (epoch {best}) and then rose to"
    fell += f" {losses[-1]:.1f}, while that on the training photos fell to"
    fell += f" {boxes[-1].train['loss']:.1f}"
    assert fell in " ".join(README.split())
    assert f"lowest after {best} ({min(losses):.2f})" in text("yard-1")
    dice = [masks[epoch - 1].test["loss_dice"] for epoch in (1, 5, 10, 35)]
    assert f"from {dice[0]:.2f} to {dice[-1]:.2f}." in README
    expected = "was {:.2f} at first, {:.2f} after 5 epochs, {:.2f} after 10 and {:.2f} after 35"
    assert expected.format(*dice) in text("yard-1")


@pytest.mark.parametrize("run", NAMES[1:])
def test_the_losses_of_a_run_are_those_of_its_log(run: str) -> None:
    lines = stage(run, "joint")
    assert len(lines) == load_yaml(RUNS / run / "train.yaml")["epochs"]
    ends = [lines[place].train["loss"] for place in (0, -1)]
    ends += [lines[place].tune["loss"] for place in (0, -1)]
    expected = (
        "from {:.1f} in the first epoch to {:.1f}, that on the held-out photos from {:.1f} to"
    )
    assert f"{expected} {{:.1f}}.".format(*ends) in text(run)


def test_the_scores_of_all_runs_on_facades_are_those_of_their_logs() -> None:
    logs = [
        read_log(RUNS / f"facades/log{name}.jsonl") for name in ("", "_half_hour", "_two_hours")
    ]
    rows = [
        f"| {epoch.epoch} | {' | '.join(percent(*(epoch.scores[key] or 0 for key in SCORED)))} |"
        for log in logs
        for epoch in log
        if epoch.scores
    ]
    assert len(rows) == 6 and all(row in text("facades") for row in rows)
    losses = [f"{epoch.train['loss']:.1f}" for epoch in logs[2]]
    assert f"({losses[9]} after 10 epochs, {losses[19]} after 20)" in text("facades")


@pytest.mark.parametrize("run", NAMES[:2])
def test_the_results_in_the_readme_are_the_scores(run: str) -> None:
    found = scores(run)
    pq, *rest = percent(
        *(found[name]["pq"] for name in ("all", "things", "stuff")),
        *(found["box_ap"][name] for name in ("ap", "ap50")),
        found["mask_ap"]["ap"],
    )
    things, stuff, box, box50, mask = rest
    interval = f" ± {half(found['all'])}" if "pq_interval" in found["all"] else ""
    assert f"| {pq}{interval} | {things} | {stuff} | {box} ({box50}) | {mask} |" in README


def test_pq_by_category_of_both_variants() -> None:
    published, fast = scores("yard-1"), scores("yard-fast")
    page = (ROOT / "docs/how-detr-segments.md").read_text()
    lines = page.partition("| category | published | fast |\n")[2].splitlines()[1:]
    names = ("all", "things", "stuff")
    a, b = ({n: run[n] for n in names} | run["categories"] for run in (published, fast))
    expected = [[name, *percent(a[name]["pq"], b[name]["pq"])] for name in a]
    assert [cells(line) for line in lines[: len(expected)]] == expected


def test_rows_of_the_fast_variant_are_the_same_on_both_pages() -> None:
    training = (ROOT / "docs/training.md").read_text()
    rows = [cells(line)[2:] for line in README.splitlines() if line.startswith("| `variant: fast`")]
    assert len(rows) == 3
    assert all(f"| {' | '.join(row)} |" in training for row in rows)


def test_notebook_5_shows_the_scores() -> None:
    path = ROOT / "notebooks/5_evaluate_and_review.ipynb"
    cells = json.loads(path.read_text())["cells"]
    outputs = [one for cell in cells for one in cell.get("outputs", [])]
    printed = "".join("".join(one.get("text", "")) for one in outputs)
    both = scores("yard-1"), scores("yard-fast")
    for name in ("all", "things", "stuff"):
        row = "".join(f"{value:>11}" for value in percent(*(run[name]["pq"] for run in both)))
        assert f"\n{name:18}{row}\n" in printed


def test_sizes_in_the_readme() -> None:
    sizes = scores("yard-fast")["sizes"]
    small, large = percent(sizes["small"]["pq"], sizes["large"]["pq"])
    assert f"below 32x32 pixels have a PQ of {small}, large ones of {large}" in README


def test_facades_in_the_readme() -> None:
    found = scores("facades")
    pq, things, stuff = percent(*(found[name]["pq"] for name in ("all", "things", "stuff")))
    expected = f"{pq} ± {half(found['all'])} (things {things}, stuff {stuff})"
    assert expected in " ".join(README.split())


def test_a_hundred_photos_with_the_pq_of_the_scores() -> None:
    found = scores("yard-fast")
    photos = re.findall(r"^### \d+\. (\S+): PQ (\S+)\n\n!\[.*\]\((.*)\)", RESULTS, re.MULTILINE)
    assert len({name for name, _, _ in photos}) == 100
    for name, pq, picture in photos:
        assert percent(found["photos"][name.replace("\\", "")]["pq"]) == [pq]
        assert (ROOT / "docs" / picture).is_file()
    assert sum(path.stat().st_size for path in (ROOT / "docs/results").iterdir()) < 8_000_000
    assert f"PQ {percent(found['all']['pq'])[0]} ± {half(found['all'])}" in RESULTS


def test_the_committed_model_is_small_and_its_card_has_its_scores() -> None:
    found, card = scores("yard-fast"), (ROOT / "docs/cards/model.md").read_text()
    for name, value, interval in (
        ("PQ", found["all"]["pq"], found["all"]["pq_interval"]),
        ("box AP", found["box_ap"]["ap"], found["box_ap"]["ap_interval"]),
        ("mask AP", found["mask_ap"]["ap"], found["mask_ap"]["ap_interval"]),
    ):
        assert "{} {} ({} to {})".format(name, *percent(value, *interval)) in card
    assert (RUNS / "yard-fast/model.pt").stat().st_size < 12_000_000
