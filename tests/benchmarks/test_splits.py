import re

from benchmarks import splits


def test_each_rule_and_each_growth_has_its_figures(run_main, photos):
    output = run_main(splits.main, "--classes", 3, "--photos", photos, "--step", 20, "--images", 20)
    table = {line.split("  ")[1].strip(): re.findall(r"[\d.]+", line) for line in output.splitlines()[1:5]}
    assert list(table) == ["auto", "whole class", "true", "false"]
    moves = {rule: float(figures[0]) for rule, figures in table.items()}
    without = {rule: float(figures[2]) for rule, figures in table.items()}
    assert moves["false"] == 0 < moves["auto"] < moves["true"]
    assert without["auto"] == without["true"] == 0 < without["false"]
    assert "60 photos in steps of 20" in output
    assert output.count("fixed camera, 20 images") == 3


def test_too_few_photos_are_reported(run_main, photos):
    output = run_main(splits.main, "--classes", 1, "--photos", photos, "--step", 30, "--images", 5)
    assert "60 photos, and more than 60 are needed" in output
