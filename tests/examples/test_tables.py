from examples import _report, _tables

ROWS = [["", "stl", "mtl"], None, ["arm", "1.0", "22.5"]]


def test_text_is_aligned():
    assert _tables.text(ROWS) == ["     stl   mtl", "-" * 14, "arm  1.0  22.5"]


def test_markdown_has_one_rule():
    assert _tables.markdown(ROWS) == [
        "|  | stl | mtl |",
        "| --- | ---: | ---: |",
        "| arm | 1.0 | 22.5 |",
    ]


def run(method, seed, seg, depth):
    return {
        "method": method,
        "seed": seed,
        "scores": {
            "seg": {"miou": seg, "accuracy": seg},
            "depth": {"error": depth},
        },
        "seconds": 1.0 + seed,
        "parameters": 10,
    }


DIRECTIONS = {
    "seg": {"miou": True, "accuracy": True},
    "depth": {"error": False},
}


def test_changes_know_which_way_is_better():
    runs = [
        run("stl", 0, 0.5, 1.0),
        run("mtl", 0, 0.6, 1.1),
        run("stl", 1, 0.4, 1.0),
        run("mtl", 1, 0.4, 0.8),
    ]
    summary = _report.summarize(runs, "stl", DIRECTIONS)
    assert "changes" not in summary["stl"]
    changes = summary["mtl"]["changes"]
    assert round(changes["seg"]["mean"], 6) == 10.0
    assert round(changes["depth"]["mean"], 6) == 5.0
    assert round(summary["mtl"]["delta_m"]["mean"], 6) == 7.5
    assert summary["mtl"]["seconds"]["mean"] == 1.5
    assert summary["mtl"]["means"] == {}


def test_changes_are_over_the_seeds_that_both_have():
    runs = [
        run("stl", 1, 0.4, 1.0),
        run("mtl", 0, 0.9, 1.0),
        run("mtl", 1, 0.6, 1.0),
    ]
    summary = _report.summarize(runs, "stl", DIRECTIONS)
    assert round(summary["mtl"]["delta_m"]["mean"], 6) == 25.0
    assert summary["mtl"]["delta_m"]["std"] is None
    assert round(summary["mtl"]["scores"]["seg"]["miou"]["mean"], 6) == 0.75


def test_table_of_several_metrics():
    runs = [run("stl", 0, 0.5, 1.0), run("mtl", 0, 0.6, 1.1)]
    summary = _report.summarize(runs, "stl", DIRECTIONS)
    lines = _report.table(summary, "Scores", DIRECTIONS, "stl").splitlines()
    labels = [" ".join(line.split()[:3]) for line in lines]
    assert "seg miou ↑" in labels
    assert "depth error ↓" in labels
    assert any(line.split() == ["Δm", "(%)", "-", "+5.00"] for line in lines)


def test_a_baseline_of_zero_has_no_changes(capsys):
    runs = [run("stl", 0, 0.0, 1.0), run("mtl", 0, 0.6, 1.1)]
    summary = _report.summarize(runs, "stl", DIRECTIONS)
    assert "delta_m" not in summary["mtl"]
    assert "No changes of mtl" in capsys.readouterr().out
    assert "Δm" not in _report.table(summary, "Scores", DIRECTIONS, "stl")
