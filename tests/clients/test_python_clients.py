"""confluent-kafka and kafka-python see through the gateway what they see at the broker."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from python_scenarios import CONFLUENT, KAFKA_PYTHON

BESIDE = 4  # scenarios at a time


def _play(scenario, target):
    word = f"n{uuid.uuid4().hex[:9]}"
    try:
        return repr(scenario(target.bootstrap_servers, word)).replace(word, "NAME")
    except Exception as error:
        raise AssertionError(f"{target.name}: {error!r}") from error


@pytest.fixture(scope="module")
def played(targets):
    """Futures of what each scenario saw at each target, in the targets' order."""
    pool = ThreadPoolExecutor(BESIDE)
    yield {scenario: [pool.submit(_play, scenario, target) for target in targets]
           for scenario in CONFLUENT + KAFKA_PYTHON}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("scenario", CONFLUENT + KAFKA_PYTHON, ids=lambda scenario: scenario.__name__)
def test_python_clients_see_the_same(played, targets, scenario):
    first, *others = [future.result() for future in played[scenario]]
    for target, other in zip(targets[1:], others):
        assert other == first, f"{target.name} differs from {targets[0].name}"
