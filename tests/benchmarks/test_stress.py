import re

from benchmarks import stress


def test_simulations_have_rates_between_0_and_1(capsys):
    stress.main(["simulate", "--runs", "2"])
    output = capsys.readouterr().out
    rows = [line for line in output.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) == 3 + 3 + 4 + 4
    rates = [float(rate) for row in rows[:6] for rate in re.findall(r"([\d.]+)%", row)]
    assert len(rates) == 12 and all(0 <= rate <= 100 for rate in rates)
    images = [[int(count) for count in row.split("|")[2:5]] for row in rows[6:10]]
    assert all(one < nine < eighteen for one, nine, eighteen in images), "more checks need more images"
    points = [[float(point) for point in row.split("|")[2:6]] for row in rows[10:]]
    assert all(row == sorted(row, reverse=True) and row[-1] > 0 for row in points), "more images show less"
