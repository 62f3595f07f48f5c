"""How several senders share `requests_per_second`, over minutes of the simulation's clock."""

from bisect import bisect_left
from itertools import cycle

import crowd
import pytest
import scenario
from server import Weather

RATE = 8.0  # requests a second
WINDOW_S = 1.0
COME_S = 3.0  # between one sender and the next, at the most

pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module", autouse=True)
def _forget():
    yield
    scenario.forget_templates()


class Paced(crowd.Crowd):
    """A crowd that may make so many requests a second, on a fair day."""

    def __init__(self, seed, senders, deaths=0, rates=(RATE,)):
        super().__init__(seed)
        self.rates = cycle(rates)
        self.senders, self.concurrency, self.deaths = senders, 4, deaths
        self.server.bad, self.server.poison, self.server.records_max = set(), set(), 1_000

    def _choose_shape(self):
        return "hundreds"

    def weather(self):
        """Return a fair day."""
        return Weather(latency_s=0.05)

    def _sender_job(self, world):
        job = super()._sender_job(world)
        destination = job.pipeline.destination.model_copy(update={"requests_per_second": next(self.rates)})
        job.pipeline = job.pipeline.model_copy(update={"destination": destination})
        return job

    def _send(self, world):
        locks = crowd.CrowdLock(world), crowd.CrowdLock(world)
        everyone = []
        for number in range(self.senders):
            everyone.append(self._begin(world, locks, number))
            everyone[-1].has_wrong_key = False
            world.sleep(self.rng.uniform(0, COME_S))
        for _ in range(self.deaths):
            world.sleep(3)
            self._kill(world, locks, next(one for one in everyone if one.outcome == "lives"))
        while any(one.outcome == "lives" for one in everyone):
            world.sleep(1.0)


def sent(seed, senders, deaths=0, rates=(RATE,)):
    """Return when requests left."""
    paced = Paced(seed, senders, deaths, rates)
    paced.process(calm=True)
    return [at for at, _ in paced.server.sent_at], paced


@pytest.mark.parametrize(("senders", "deaths"), [(1, 0), (2, 0), (4, 0), (4, 1), (8, 0)])
def test_all_together_never_exceed_the_rate(senders, deaths):
    """In no second more leave than are allowed, whoever comes, dies or ends; one at each sender's change of pace."""
    times, paced = sent(1, senders, deaths)
    most = max(bisect_left(times, at + WINDOW_S) - place for place, at in enumerate(times))

    assert most <= RATE + senders
    assert not any(state == "never begun" for state, _ in paced._everyone().values())


@pytest.mark.parametrize("rates", [(RATE, 5 * RATE), (5 * RATE, None, RATE)])
@pytest.mark.parametrize("deaths", [0, 1])
def test_of_different_rates_the_least_holds(rates, deaths):
    """A second after the one with the least has come all keep to it, also when it has died; else it is used."""
    senders = len(rates)
    times, _ = sent(1, senders, deaths, rates)
    later = [at for at in times if at > COME_S * (senders - 1) + 2]
    most = max(bisect_left(later, at + WINDOW_S) - place for place, at in enumerate(later))

    assert most <= RATE + senders
    assert deaths or (len(later) - 1) / (later[-1] - later[0]) >= 0.9 * RATE


@pytest.mark.parametrize("senders", [1, 2, 4])
def test_the_rate_is_used_when_senders_end_at_different_times(senders):
    """From the first request to the last 97 % of what is allowed is sent."""
    times, _ = sent(2, senders)
    used = (len(times) - 1) / (times[-1] - times[0]) / RATE

    assert used >= 0.97, used
