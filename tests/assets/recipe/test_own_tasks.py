"""A user's own tasks, in lm-eval's YAML: read as data, refused where they are code."""

import pytest
import yaml
from pydantic import ValidationError

from assets.recipe.evaluation import Harness
from assets.recipe.own_tasks import own_tasks
from assets.recipe.yaml_files import RecipeError

TASK = {
    "task": "summat",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "choices",
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
}
LOCAL = {
    **TASK,
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"train": "train.jsonl", "test": "sub/test.jsonl"}},
    "training_split": "train",
    "test_split": "test",
    "num_fewshot": 2,
    "metadata": {"version": 1.0, "language": "fi"},
}


@pytest.fixture
def folder(tmp_path):
    def write(value, name="summat.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value if isinstance(value, str) else yaml.safe_dump(value), "utf-8")
        return tmp_path

    return write


def read(folder, **changes):
    return Harness.model_validate({"kind": "harness", "include": str(folder), "task": "summat", **changes})


def test_the_yaml_says_where_the_items_are_and_how_they_are_asked(folder):
    place = folder(LOCAL)
    task = read(place)
    assert task.files == (str(place / "sub" / "test.jsonl"), str(place / "train.jsonl"))
    assert (task.where, task.shots_where, task.shots) == ({"file": "test"}, {"file": "train"}, 2)
    assert (task.metrics, task.language) == (("acc", "acc_norm"), "fi")
    assert task.definition["doc_to_text"] == "{{question}}" and "dataset_path" not in task.definition


def test_what_the_recipe_says_goes_over_the_yaml(folder):
    task = read(folder(LOCAL), files="other.jsonl", shots=0, metrics="acc_norm", language="sv", shots_where={})
    assert (task.files, task.shots, task.metrics, task.language) == (("other.jsonl",), 0, ("acc_norm",), "sv")


def test_the_definition_is_part_of_the_recipe_so_a_change_of_it_shows(folder):
    before = read(folder(LOCAL))
    assert before == read(folder(LOCAL))
    assert before != read(folder({**LOCAL, "doc_to_text": "{{question}}?"}))
    # A job gets the configuration, and needs no folder.
    assert Harness.model_validate_json(before.model_dump_json()) == before


def test_a_file_may_include_another_of_the_folder(folder):
    folder({key: value for key, value in LOCAL.items() if key != "task"}, "base.yaml")
    place = folder({"task": "summat", "include": "base.yaml", "num_fewshot": 1})
    assert read(place).shots == 1 and read(place).metrics == ("acc", "acc_norm")


def test_a_task_is_found_in_a_file_of_another_name(folder):
    assert set(own_tasks(folder(LOCAL, "deep/er.yaml"))) == {"summat"}
    assert read(folder(LOCAL, "deep/er.yaml")).shots == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            yaml.safe_dump(TASK) + "process_docs: !function utils.drop\n",
            r"summat.yaml, line \d+: process_docs is !function",
        ),
        (
            yaml.safe_dump(TASK) + "fewshot_config:\n  samples: !function os.system\n",
            r"fewshot_config is !function os.system",
        ),
        ({**TASK, "class": "x.Y"}, r"class is not taken from a task of one's own; allowed are .*doc_to_text"),
        ({**TASK, "unsafe_code": True}, r"unsafe_code is not taken"),
        (
            {**TASK, "output_type": "loglikelihood_rolling"},
            r"output_type is 'loglikelihood_rolling'; allowed is multiple",
        ),
        ({**TASK, "include": "../other.yaml"}, r"include is '../other.yaml'; allowed is another file in"),
        ({**TASK, "include": "summat.yaml"}, r"include is 'summat.yaml'; allowed is another file in"),
        ({k: v for k, v in TASK.items() if k != "doc_to_text"}, r"the key doc_to_text is missing"),
        ({**TASK, "metric_list": ["acc"]}, r"metric_list must be a list of mappings"),
        ({**LOCAL, "dataset_path": "parquet"}, r"dataset_path is 'parquet'; .*it is 'json'"),
        ({**LOCAL, "test_split": "exam"}, r"test_split or validation_split is 'exam'; .*has test, train|train, test"),
        ("a: [", r"summat.yaml, line \d+: not readable as YAML"),
        ("task: summat\ntask: summat\n", r"line 2: not readable as YAML: the key 'task' stands twice"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(folder, value, expected):
    with pytest.raises(ValidationError, match=expected):
        read(folder(value))


def test_without_data_in_the_yaml_the_recipe_names_the_files(folder):
    with pytest.raises(ValidationError, match="files"):
        read(folder(TASK))
    assert read(folder(TASK), files="x.jsonl").files == ("x.jsonl",)


def test_what_is_not_there(folder, tmp_path):
    with pytest.raises(ValidationError, match="there is no folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(RecipeError, match="no YAML file with a key task"):
        own_tasks(tmp_path)
    folder({**TASK, "task": "other"}, "other.yaml")
    with pytest.raises(ValidationError, match="has no task 'summat'; it has other"):
        read(tmp_path)
