"""The command line wins over the config file, the file over the shipped values."""

from __future__ import annotations

import tomllib
from dataclasses import fields

import pytest

from MetaSegmentLib.cli import main
from MetaSegmentLib.errors import InputError, SettingsError
from MetaSegmentLib.training.command import STAGES
from MetaSegmentLib.training.config import (
    SHIPPED,
    BurstSettings,
    Config,
    EpisodeSettings,
    Share,
    TaskSettings,
    TrainingSettings,
    write_config,
)
from MetaSegmentLib.training.objectives import OBJECTIVES
from MetaSegmentLib.training.sources import KINDS


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "my.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_shipped_file_is_valid_and_has_every_kind_of_source():
    config = Config()
    assert {source.kind for source in config.sources} == set(KINDS)
    assert sum(source.share for source in config.sources) == pytest.approx(1)
    assert config.tasks.inside == 0.65 and config.episodes.count > 0
    assert set(STAGES) == set(OBJECTIVES)
    for stage in OBJECTIVES:
        assert config.training(stage).stage == stage


def test_the_shipped_file_names_every_key_and_the_classes_have_the_same_values():
    shipped = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    tables = {"tasks": TaskSettings, "episodes": EpisodeSettings, "training": TrainingSettings, "burst": BurstSettings}
    for name, kind in tables.items():
        named = {key for key, value in shipped[name].items() if not isinstance(value, dict)}
        assert named == {one.name for one in fields(kind)} - {"stage"}
    config = Config()
    assert (config.tasks, config.episodes, config.burst) == (TaskSettings(), EpisodeSettings(), BurstSettings())
    assert config.training("unknown") == TrainingSettings("unknown")
    assert set(shipped["training"]) - {one.name for one in fields(TrainingSettings)} == {*OBJECTIVES, "continue"}


def test_who_wins(written):
    path = written("[training]\nrate = 1\nqueries = 9\n[training.maml]\nrate = 2\n[tasks]\ninside = 0.5\n")
    shipped, file, both = Config(), Config(path), Config(path, {"rate": 3.0, "painted": (4,)})
    assert shipped.training("anil").rate == 3e-4
    assert file.training("anil").rate == 1.0 and file.training("anil").support == 4
    assert file.training("maml").rate == 2.0 and file.training("maml").queries == 9
    assert both.training("maml").rate == 3.0
    assert file.tasks.inside == 0.5 and file.tasks.painted == shipped.tasks.painted and both.tasks.painted == (4,)
    own = (Share("mine", "labelled", 1.0),)
    assert Config(path, sources=own).sources == own and file.sources == shipped.sources


def test_what_is_written_down_reads_back(tmp_path):
    config = Config(None, {"rate": 1e-5, "thickness": (1, 4), "device": "cpu"}, [Share("a", "supervoxels", 0.5)])
    training = config.training("maml")
    write_config(tmp_path, {"sources": config.sources, "tasks": config.tasks, "training.maml": training})
    again = Config(tmp_path / "config.toml")
    assert (again.sources, again.tasks, again.training("maml")) == (config.sources, config.tasks, training)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tasks]\ninsde = 0.5", "unknown key 'insde'"),
        ("[task]\ninside = 0.5", "unknown table 'task'"),
        ("[tasks]\ninside = 'half'", "'inside' is of the wrong kind"),
        ("[tasks]\npainted = []", "'painted' is of the wrong kind"),
        ("[training]\nsteps = 1.5", "'steps' is of the wrong kind"),
        ("[training.maml]\nrate = -1", "'rate' is below 0"),
        ("sources = [{ kind = 'labelled' }]", "lacks keys"),
    ],
)
def test_mistakes_in_the_file_are_named(written, text, says):
    config = written(text)
    with pytest.raises(SettingsError, match=says):
        _ = Config(config).tasks
        _ = Config(config).training("maml")
        _ = Config(config).sources


def test_a_file_that_is_missing_or_not_toml_is_told(written, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Config(tmp_path / "none.toml")
    with pytest.raises(InputError, match="not TOML"):
        Config(written("steps: 5"))


def test_unknown_stages_of_the_command_line_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["train", "basic", "--episodes", "x"])
    with pytest.raises(SystemExit):
        main(["train", "episodes", "--episodes", "x", "--source", "nonsense"])
    assert "--source" in capsys.readouterr().err
