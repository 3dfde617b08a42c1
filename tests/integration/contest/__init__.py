"""Tests of the contest; a package, so that what its fixtures start ends with it."""
