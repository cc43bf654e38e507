"""Run metrics beside their baselines and decide verdicts."""
