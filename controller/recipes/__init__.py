"""Recipes: files, phases, transitions and the laws that feeds follow."""
