"""The list of a run's tasks, from servers of all kinds."""

from __future__ import annotations

import pytest

from kubeflow import connection, task_list

HOST, RUN = "http://localhost:1", "5b1d9d9e"
PATH = f"/apis/v2beta1/runs/{RUN}/tasks?page_size=200"


def listed(*answers):
    """What a server's answers make of the list, and what it is asked."""
    asked, waiting = [], iter(answers)

    def ask(path, what):
        asked.append(path)
        answer = next(waiting)
        if isinstance(answer, tuple):
            raise connection.refusal(HOST, what, False, *answer)
        return answer

    return task_list.listed(HOST, RUN, ask), asked


def test_all_pages_are_read():
    pages = {"tasks": [{"name": "a"}], "next_page_token": "x=&"}, {"tasks": [{"name": "b"}], "next_page_token": ""}
    assert listed(*pages) == ([{"name": "a"}, {"name": "b"}], [PATH, f"{PATH}&page_token=x%3D%26"])


def test_a_run_may_have_no_tasks_yet():
    assert listed({}) == ([], [PATH])


@pytest.mark.parametrize("answer", [(404, '{"code": 5, "message": "Not Found"}'), (404, "Not Found\n"), None])
def test_an_earlier_server_lists_none(answer):
    assert listed(answer) == (None, [PATH])


@pytest.mark.parametrize(
    ("answer", "message", "status"),
    [
        ((404, f'{{"message": "Failed to list tasks: run {RUN} not found"}}'), f"has no run {RUN}; `regraft", 404),
        ((503, ""), f"listing the tasks of run {RUN}: the server gave no reason (503)", 503),
    ],
)
def test_other_errors_say_nothing_about_the_server(answer, message, status):
    with pytest.raises(connection.ServerError, match=f"^{HOST}: ") as error:
        listed(answer)
    assert message in str(error.value) and error.value.status == status
