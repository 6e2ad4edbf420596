"""Our scores beside the paper's tables: on its scale, in every table that prints them, and a gap is a gap."""

from assets.reports.side_by_side import boards, other_rows, section


def row(task, metric, score, average=False, **more):
    numbers = {"stderr": 0.02, "clean": None, "clean_stderr": None, "items": 50, "contaminated": 0}
    return {"task": task, "metric": metric, "score": score, "average": average, **numbers, **more}


OURS = {
    "mini@4": [
        row("finbench_analogies", "accuracy", 0.25, clean=0.2, clean_stderr=0.03, contaminated=5),
        row("finbench_emotions", None, None),
        row("finnish", "accuracy", 0.3, average=True, stderr=0.01),
        row("flores_en_fi", "bleu", 1.5),
        row("heldout_fi", "bits_per_character", 2.5),
    ],
    "other@8": [row("perplexity_fi", "character_perplexity", 2.1, stderr=None)],
}


def by_title():
    return {board.title: {line.benchmark: line for line in board.lines} for board in boards(OURS)}


def test_only_tables_with_a_score_of_ours_are_shown_unless_all_are_asked_for():
    assert list(by_title()) == ["Perplexity per character", "Averages by language", "FIN-bench, 3-shot"]
    assert len(boards(OURS, always=True)) == 6


def test_a_score_stands_on_the_papers_scale_with_its_errors():
    line = by_title()["FIN-bench, 3-shot"]["Analogies"]
    ours = line.ours["mini@4"]
    assert (ours["score"], ours["stderr"], ours["clean"], ours["clean_stderr"]) == (25.0, 2.0, 20.0, 3.0)
    assert line.ours["other@8"] is None and line.paper["FinGPT 8B"] == 40.0
    assert by_title()["Perplexity per character"]["Finnish"].ours["other@8"]["score"] == 2.1


def test_an_average_stands_in_both_tables_that_print_it():
    for title, label in (("FIN-bench, 3-shot", "average"), ("Averages by language", "Finnish")):
        assert by_title()[title][label].ours["mini@4"]["score"] == 30.0


def test_of_two_tasks_for_one_benchmark_the_papers_own_split_counts():
    here, hub = row("arc_challenge", "acc_norm", 0.2), row("hub_arc_challenge", "acc_norm", 0.3)
    average = row("english_hub", "acc", 0.4, average=True)
    found = {
        b.title: {line.benchmark: line for line in b.lines} for b in boards({"a": [here, hub, average], "b": [here]})
    }
    ours = found["English"]["ARC-Challenge"].ours
    assert (ours["a"]["task"], ours["a"]["score"]) == ("hub_arc_challenge", 30.0)
    assert (ours["b"]["task"], ours["b"]["score"]) == ("arc_challenge", 20.0)
    assert (
        found["English"]["average"].ours["a"]["score"]
        == found["Averages by language"]["English"].ours["a"]["score"]
        == 40.0
    )


def test_a_gap_is_none_in_the_section_and_a_bleu_by_other_pieces_is_not_the_papers():
    (finbench,) = (board for board in boards(OURS) if board.title.startswith("FIN-bench"))
    rows = {row["benchmark"]: row for row in section(finbench, ["Poro 34B"]).tables[0].rows}
    assert rows["Analogies"] == {
        "benchmark": "Analogies", "mini@4": "25 ± 2", "mini@4, clean": "20 ± 3", "other@8": None,
        "other@8, clean": None, "Poro 34B": "77.69",
    }  # fmt: skip
    assert rows["Emotions"]["mini@4"] is None
    assert [(r["task"], r["metric"], r["mini@4"]) for r in other_rows(OURS)] == [
        ("flores_en_fi", "bleu", "1.5 ± 0.02"),
        ("heldout_fi", "bits_per_character", "2.5 ± 0.02"),
    ]
