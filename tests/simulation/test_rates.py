"""How several senders share `requests_per_second`, over minutes of the simulation's clock."""

from bisect import bisect_left

import crowd
import pytest
import scenario
from server import Weather

RATE = 8.0  # requests a second
WINDOW_S = 1.0

pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module", autouse=True)
def _forget():
    yield
    scenario.forget_templates()


class Paced(crowd.Crowd):
    """A crowd that may make so many requests a second, on a fair day."""

    def __init__(self, seed, senders, deaths=0):
        super().__init__(seed)
        self.senders, self.concurrency, self.deaths = senders, 4, deaths
        self.server.bad, self.server.poison, self.server.records_max = set(), set(), 1_000

    def _choose_shape(self):
        return "hundreds"

    def weather(self):
        """Return a fair day."""
        return Weather(latency_s=0.05)

    def _sender_job(self, world):
        job = super()._sender_job(world)
        destination = job.pipeline.destination.model_copy(update={"requests_per_second": RATE})
        job.pipeline = job.pipeline.model_copy(update={"destination": destination})
        return job

    def _send(self, world):
        locks = crowd.CrowdLock(world), crowd.CrowdLock(world)
        everyone = []
        for number in range(self.senders):
            everyone.append(self._begin(world, locks, number))
            everyone[-1].has_wrong_key = False
            world.sleep(self.rng.uniform(0, 3))
        for _ in range(self.deaths):
            world.sleep(3)
            self._kill(world, locks, next(one for one in everyone if one.outcome == "lives"))
        while any(one.outcome == "lives" for one in everyone):
            world.sleep(1.0)


def sent(seed, senders, deaths=0):
    """Return when requests left."""
    paced = Paced(seed, senders, deaths)
    paced.process(calm=True)
    return [at for at, _ in paced.server.sent_at], paced


@pytest.mark.parametrize(("senders", "deaths"), [(1, 0), (2, 0), (4, 0), (4, 1), (8, 0)])
def test_all_together_never_exceed_the_rate(senders, deaths):
    """In no second more leave than are allowed, whoever comes, dies or ends; one at each sender's change of pace."""
    times, paced = sent(1, senders, deaths)
    most = max(bisect_left(times, at + WINDOW_S) - place for place, at in enumerate(times))

    assert most <= RATE + senders
    assert not any(state == "never begun" for state, _ in paced._everyone().values())


@pytest.mark.parametrize("senders", [1, 2, 4])
def test_the_rate_is_used_when_senders_end_at_different_times(senders):
    """From the first request to the last 97 % of what is allowed is sent."""
    times, _ = sent(2, senders)
    used = (len(times) - 1) / (times[-1] - times[0]) / RATE

    assert used >= 0.97, used
