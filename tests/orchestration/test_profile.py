"""Profiles: which file, what goes over what, and what is refused."""

from pathlib import Path

import pytest

from assets.recipe.cost import VARIABLES, CostAssumptions
from assets.recipe.launchers import LAUNCHERS, DockerOptions
from orchestration.profile import PROFILES, Profile, ProfileError, read_profile
from tests.workplace import small_workplace


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKKA_PROFILE", "TOKKA_LAKE", "TOKKA_LAUNCHER", "TOKKA_DATA_ENGINE", "TOKKA_PROCESSES"):
        monkeypatch.delenv(name, raising=False)


def write(folder: Path, text: str) -> str:
    (folder / "mine.yaml").write_text(text, "utf-8")
    return str(folder / "mine.yaml")


def test_without_a_profile_jobs_run_here(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKKA_HOME", str(tmp_path))
    profile = Profile.from_environment()
    assert (profile.lake_uri, profile.launcher_name) == (str(tmp_path / "lake"), "local")
    assert profile.launcher().name == "local"


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_projects_own_profiles_are_valid(path, monkeypatch):
    monkeypatch.setenv("TOKKA_SHARED_FOLDER", "/shared/tokka")
    monkeypatch.setenv("TOKKA_PROFILE", path.stem)
    profile = Profile.from_environment()
    for name in LAUNCHERS:
        launcher = profile.launcher(name)
        assert launcher.name == name and launcher.poll_seconds > 0


def test_the_environment_goes_over_the_file(tmp_path, monkeypatch):
    text = "lake: s3://bucket/lake\nlauncher: docker\nscratch: /somewhere\nlaunchers: {docker: {image: mine, memory: 2g}}\n"
    monkeypatch.setenv("TOKKA_PROFILE", write(tmp_path, text))
    profile = Profile.from_environment()
    assert (profile.lake_uri, profile.launcher_name, profile.scratch_folder) == (
        "s3://bucket/lake",
        "docker",
        "/somewhere",
    )
    assert profile.launchers.docker == DockerOptions(image="mine", memory="2g")
    monkeypatch.setenv("TOKKA_LAKE", str(tmp_path))
    monkeypatch.setenv("TOKKA_LAUNCHER", "slurm")
    profile = Profile.from_environment()
    assert (profile.lake_uri, profile.launcher().name) == (str(tmp_path), "slurm")


def test_partitions_are_made_in_two_processes_unless_the_profile_or_the_environment_says_otherwise(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert Profile.from_environment().processes == 2
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert Profile.from_environment().processes == 1
    monkeypatch.setenv("TOKKA_PROFILE", write(tmp_path, "processes: 3\n"))
    assert Profile.from_environment().processes == 3
    monkeypatch.setenv("TOKKA_PROCESSES", "4")
    assert Profile.from_environment().processes == 4
    for wrong in ("0", "-1", "two", "", "²"):
        monkeypatch.setenv("TOKKA_PROCESSES", wrong)
        with pytest.raises(ProfileError, match=f"TOKKA_PROCESSES is '{wrong}'; it has to be a whole number from 1"):
            Profile.from_environment()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("processes: 0", "processes: Input should be greater than 0"),
        ("launcher: rocket", "launcher: Input should be 'local', 'docker', 'slurm' or 'kubernetes'"),
        ("launchers: {docker: {imgae: x}}", "launchers.docker.imgae: is not a known key"),
        ("launchers: {docker: {user: '0:0'}}", "jobs do not run as root in a container"),
        ("launchers: {docker: {memory: 16 GB}}", "launchers.docker.memory"),
        ("launchers: {slurm: {time: tomorrow}}", "launchers.slurm.time"),
        ("launchers: {local: {variables: {AWS_SECRET_ACCESS_KEY: hunter2}}}", "name it under pass_environment"),
        ("launchers: {kubernetes: {pass_environment: [HF_TOKEN]}}", "launchers.kubernetes.pass_environment"),
        ("launchers: [", "not readable as YAML"),
        ("- launcher", "mine.yaml, line 1: the profile"),
    ],
)
def test_what_is_wrong_in_a_profile_is_said_in_one_line_without_values(tmp_path, text, message):
    with pytest.raises(ProfileError) as error:
        read_profile(write(tmp_path, text))
    assert message in str(error.value)
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_profile_that_is_not_there_is_wrong_usage(tmp_path):
    place = small_workplace(tmp_path)
    result = place.tokka("run", "small", "--profile", "nobody")
    assert result.returncode == 2
    assert "there is no profile" in result.stderr and "laptop" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_what_electricity_costs_stands_in_the_file(tmp_path, monkeypatch):
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    assert Profile.from_environment().assumptions == CostAssumptions()
    text = "cost: {power_watts: 500, pue: 1.04, grid_kg_per_kwh: 0.024}\n"
    monkeypatch.setenv("TOKKA_PROFILE", write(tmp_path, text))
    monkeypatch.setenv("TOKKA_POWER_WATTS", "560")
    wanted = CostAssumptions(power_watts=560, pue=1.04, grid_kg_per_kwh=0.024)
    assert Profile.from_environment().assumptions == wanted
    monkeypatch.setenv("TOKKA_PUE", "0.5")
    with pytest.raises(ProfileError, match=r"TOKKA_PUE is '0.5': input should be greater than or equal to 1"):
        Profile.from_environment()
    monkeypatch.setenv("TOKKA_PROFILE", write(tmp_path, "cost: {pue: 0.5}\n"))
    with pytest.raises(ProfileError, match=r"cost\.pue: Input should be greater than or equal to 1"):
        Profile.from_environment()
