"""Sharing out a job's ranks over nodes."""

from assets.recipe.jobs import JobRequest


def per_node(request: JobRequest, ranks_per_node: int | None) -> tuple[int, int]:
    """Number of nodes, and of ranks on each. Raises ValueError where the ranks do not share out evenly."""
    if ranks_per_node is None or request.ranks <= ranks_per_node:
        return 1, request.ranks
    if request.ranks % ranks_per_node:
        raise ValueError(
            f"{request.name} has {request.ranks} ranks, which do not share out evenly over nodes of {ranks_per_node}: "
            "change ranks_per_node in the profile, or data_parallel in the recipe."
        )
    return request.ranks // ranks_per_node, ranks_per_node
