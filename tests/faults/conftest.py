"""What tests of memory that runs out share."""

import gc

import pytest


@pytest.fixture(scope="module")
def little_garbage():
    """Garbage is collected whenever memory ran out: not among what the libraries imported and earlier tests left, which takes long."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
