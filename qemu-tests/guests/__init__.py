"""Unikernels in the restricted Python: guests for the tests that know exactly what they do.

`python -m compiler guest --name NAME` makes one of each module here. They run at EL1 with the MMU off, so all their
data accesses are those of device memory: aligned, and never exclusive.
"""
