"""Executors of clusters: jobs run on other machines, which see the same folders."""
