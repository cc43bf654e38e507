"""Answers of a report: sentences, order of scores, fitness for use, ranking and recommendation."""
