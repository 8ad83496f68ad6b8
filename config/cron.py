"""Cron expressions that Kubeflow's scheduler reads in the same way as crontab does."""

from __future__ import annotations

import re

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_CRON_ORDER = {name: str(n) for n, name in enumerate(_DAYS)} | {name: str(n) for n, name in enumerate(_MONTHS, 1)}


def check_cron(cron: str) -> None:
    """Refuses an expression that Kubeflow's scheduler would refuse, or read in another way.

    Raises:
      ValueError: if it is not five fields that both know.
    """
    import croniter

    # The scheduler (robfig/cron) takes a sixth field first, the seconds. It has no L, W, # and random values, and no
    # ranges whose end is before their start.
    legal = len(cron.split()) == 5 and re.fullmatch(r"[-0-9A-Za-z*,/ ]+", cron) and not re.search(r"\b[LWHR]\b", cron)
    if not (legal and croniter.croniter.is_valid(cron)):
        raise ValueError("five fields as in crontab are expected, such as 0 3 * * MON")
    for first, last in re.findall(r"(\w+)-(\w+)", cron.upper()):
        if _CRON_ORDER.get(first, first).zfill(2) > _CRON_ORDER.get(last, last).zfill(2):
            raise ValueError(f"the end of a range must not be before its start; write {first}-{last} as two ranges")
    for field, size in zip(cron.split(), (60, 24, 31, 12, 7), strict=True):
        if any(int(step) > size for step in re.findall(r"/(\d+)", field)):
            raise ValueError(f"a step must be at most {size}, the number of the field's values. Received: {field}")
    try:
        croniter.croniter(cron).get_next()
    except croniter.CroniterBadDateError:
        raise ValueError("a date that exists is expected; 31 February does not") from None
