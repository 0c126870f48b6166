"""Cohorts of simulated heads, written as real files in the layouts of real archives."""
