"""History and explain, when the files of a run were deleted or damaged."""

import datetime
import io

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from config.errors import BadInputError
from pipeline import history
from pipeline.run_metadata import RunRecord, StageRecord


def stages(folder) -> dict[str, StageRecord]:
    blessing, baseline, candidate = mlmd.Artifact(uri=str(folder)), mlmd.Artifact(), mlmd.Artifact()
    blessing.custom_properties["blessed"].int_value = 1
    baseline.custom_properties["absent"].int_value = 1
    return {
        "Candidate": StageRecord(False, {}, {"result": candidate}),
        "BaselineModel": StageRecord(False, {}, {"baseline_model": baseline}),
        "Evaluator": StageRecord(False, {}, {"blessing": blessing}),
    }


@pytest.mark.parametrize("content", [None, "", "{}", '{"blessed": tr', "[1]"])
def test_a_verdict_that_is_gone_is_said_and_the_outcome_stays(tmp_path, content):
    if content is not None:
        (tmp_path / "verdict.json").write_text(content)
    record = RunRecord("run", datetime.datetime(2026, 11, 26, 10, tzinfo=datetime.UTC), stages(tmp_path))
    run = history._past_run(3, record, is_running=False)
    assert run.outcome == "gate only: would be blessed", "as ML Metadata has it"
    history.print_history([run], io.StringIO())
    with pytest.raises(BadInputError, match=r"^run 3: the file of its verdict was deleted or damaged; gate only"):
        history.explain(run, False, io.StringIO())
