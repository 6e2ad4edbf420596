"""Recipes: everything that decides a result, typed. Where it runs is a profile (``orchestration/profile.py``), not a recipe.

This room imports nothing but pydantic and PyYAML, so that jobs on GPU nodes read the same types.
"""
