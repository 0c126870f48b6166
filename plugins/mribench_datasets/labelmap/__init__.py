"""Cohorts made from label maps: FreeSurfer's numbers in, quantitative maps and images out."""
