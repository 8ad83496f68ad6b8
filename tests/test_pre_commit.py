from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_hooks_use_the_tools_of_the_virtual_environment_and_download_nothing():
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        assert hook["language"] == "system"
        assert (ROOT / hook["entry"].split()[0]).is_file(), hook["entry"]
