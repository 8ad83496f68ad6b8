"""The folder of a pipeline."""

import pytest

from config.errors import BadInputError
from pipeline.workspace import RunFolder


def test_a_folder_is_in_use_while_a_run_holds_it(tmp_path):
    folder = RunFolder(tmp_path, "fruit")
    assert not folder.is_in_use()
    with folder.locked():
        assert folder.is_in_use()
        with pytest.raises(BadInputError, match="another run is using it"), folder.locked():
            pass
        assert folder.is_in_use()
    assert not folder.is_in_use()
