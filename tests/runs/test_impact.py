"""`impact`: which features a run turns on and off, for whom, before anything is sent."""

import json

import pytest
from impact_drawn import (
    NEVER,
    STREAMS,
    World,
    contexts_of,
    evaluated,
    fields,
    flips_between,
    flips_in,
    unknown_in,
)
from workplace import KEY, Emulator, Workplace

from bucket_loader.emulator.http.server import running

SIZES = [
    pytest.param(1500, 150, id="1,500 companies"),
    pytest.param(30_000, 3_000, id="30,000 companies", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("companies", "changes"), SIZES)
@pytest.mark.parametrize("edition", ["2025", "2026"])
def test_predictions_are_what_the_api_answers_before_and_after_the_load(tmp_path, edition, companies, changes):
    """Each flip is predicted, and no other; only what nobody delivers, or nobody sees, is unknown."""
    with running(secret_key=KEY, publishable_key="pub_test_0123456789", evaluation=edition) as endpoint:
        workplace, emulator = Workplace(tmp_path, endpoint.url), Emulator(endpoint.url)
        world = World(7, companies)
        emulator.call("PUT", "/_emulator/features", {"features": world.features})
        workplace.pipeline(STREAMS)
        world.write(workplace)
        assert workplace.run().summary["status"] == "succeeded"
        old_pairs = {(company, user) for company, (user, *_) in world.members.items()}

        world.change(changes)
        world.write(workplace)
        result = workplace.command("impact", "--json", "--evaluation", edition)
        assert result.exception is None, result.stderr
        impact = json.loads(result.stdout)

        planned = json.loads(workplace.command("plan", "--diff", "--rows", "all", "--format", "json").stdout)["streams"]
        ids = [record["id"] for stream in planned.values() for record in stream["records"]]
        touched = [{one[name] for one in ids if name in one and len(one) == 1} for name in ("companyId", "userId")]
        touched[0] |= {one["companyId"] for one in ids if "companyId" in one}
        by_feature = contexts_of(world.features, *touched, old_pairs)
        asked = sorted({one for contexts in by_feature.values() for one in contexts}, key=str)

        before = evaluated(endpoint.url, KEY, asked)
        assert workplace.run().summary["status"] == "succeeded"
        after = evaluated(endpoint.url, KEY, asked)

        unknown = unknown_in(impact)
        known = {key: [one for one in contexts if one not in unknown[key]] for key, contexts in by_feature.items()}
        expected = flips_between(before, after, known)
        assert flips_in(impact) == expected
        assert len(expected) > changes // 4
        for feature in world.features:
            counts = impact["features"][feature["key"]]
            assert sum(counts.values()) == len(by_feature[feature["key"]])
            hidden = fields(feature) & NEVER
            is_of_users = any(name.startswith("user.") for name in fields(feature))
            assert not unknown[feature["key"]] or hidden or is_of_users
            if not hidden:
                assert all(None in context for context in unknown[feature["key"]])
