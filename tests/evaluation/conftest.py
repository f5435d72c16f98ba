"""A trained classifier for the tests of classifiers and of recognition."""

import pytest

from dale_demo.evaluation.classifier import Classifier, new_classifier, train_classifier
from tests.evaluation.bars import bars


@pytest.fixture(scope="session")
def trained() -> Classifier:
    """A classifier of `bars`."""
    data = bars(300, seed=0)
    classifier = new_classifier(data)
    for _ in train_classifier(classifier, data, epochs=4, batch_size=30, shift=1):
        pass
    return classifier
