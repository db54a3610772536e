"""Tests of the steps of a reseed."""
